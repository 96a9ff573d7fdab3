"""Fit the shipped generators of bandwidths, loads and outages to recordings, and say how near they come."""

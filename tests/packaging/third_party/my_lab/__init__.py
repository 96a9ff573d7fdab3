"""Techniques of a laboratory that is not ours: what a third party writes."""

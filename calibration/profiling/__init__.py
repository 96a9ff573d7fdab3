"""Measure a PyTorch model layer by layer, and the things around it, on the machine at hand.

The modules here, and :mod:`calibration.networks`, are the only ones that import PyTorch at their top.
"""

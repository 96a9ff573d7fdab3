"""One module per format of recordings; each defines ``FORMAT`` (``traces/format.py``)."""

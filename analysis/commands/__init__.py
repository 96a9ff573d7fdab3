"""The verbs of the analysis, one file each: ``offing plot`` and ``offing compare``."""

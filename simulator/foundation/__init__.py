"""Floor 0: errors, units and random streams; everything else stands on these."""

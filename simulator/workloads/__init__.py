"""Floor 6: arrivals, the stories they start, and what happens to the world meanwhile (dynamics)."""

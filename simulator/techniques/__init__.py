"""Floor 5: the hooks of a technique, the registry, and one file per technique from a paper."""

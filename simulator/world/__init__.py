"""Floor 4: the world of a run: what a story may do (``Cluster``) and what a technique may know (``View``)."""

"""Floor 10: the verbs of the simulator, one function each; see ``cli.py`` for how they are found."""

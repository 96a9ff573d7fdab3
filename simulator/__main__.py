"""``python -m simulator`` is ``offing``."""

from simulator.cli import main

main()

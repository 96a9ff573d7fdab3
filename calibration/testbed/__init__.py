"""Real split execution between two processes over a shaped link, recorded, and replayed in the simulator."""

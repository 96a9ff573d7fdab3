"""One file per system: its quantities, by claim id, from frames of runs or from model profiles.

None of these files knows what is claimed: they import nothing of the table, and tests hold them to it.
"""

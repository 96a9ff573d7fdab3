"""What papers claim, held against what the simulator says.

One table of claims (``table.csv``), one file per system that computes its quantities without ever seeing the table
(``systems/``, and the entry points ``offing.claims`` of any package), and one rule that compares the two
(``verdicts``). ``docs/explanation/claims.md`` tells the kinds, the verdicts and the tolerance rule.
"""

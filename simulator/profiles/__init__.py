"""Floor 1: what things are, as plain data: traces, models, hardware, placements and the decisions of a technique."""

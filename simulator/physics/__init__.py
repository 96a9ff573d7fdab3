"""Floor 3: what takes time, memory and joules: stations, nodes, links, and the pure cost formulas."""

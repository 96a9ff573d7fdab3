"""Floor 2: what a run leaves behind: rows while it runs, frames and files afterwards."""

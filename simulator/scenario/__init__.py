"""Floor 7: scenarios: what a user writes (document, schema), as a value (scenario), made live (build)."""

"""What clients notice of a run, counted by balancers, or by servers that have none. Nothing is decided by it."""

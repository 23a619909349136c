"""One host's way through one play."""

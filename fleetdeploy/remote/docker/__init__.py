"""A host's Docker engine, through its SSH connection."""

"""What ``doctor`` found, as text, as JSON, and the schema of that."""

"""A plan on disk, and what it is held against before it is applied."""

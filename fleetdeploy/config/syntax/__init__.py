"""Files as trees in which every value knows its place; how a value is refused and what is suggested instead."""

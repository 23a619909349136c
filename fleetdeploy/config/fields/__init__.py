"""Typed fields and the schemas made of them: sizes, counts, versions, names, durations."""

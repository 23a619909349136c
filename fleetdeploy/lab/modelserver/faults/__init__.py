"""Faults on demand: what a test asks for, and how a version then behaves."""

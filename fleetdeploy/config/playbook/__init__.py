"""Playbooks: their shape, and the plays they become."""

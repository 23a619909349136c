"""Counters and histograms, and their Prometheus text."""

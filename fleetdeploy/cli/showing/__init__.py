"""Commands that look and change nothing: hosts, runs, inventories, models."""

"""A person's own commands on many hosts, and the logs of many hosts as they grow."""

"""Ansible inventories: sources, groups and hosts, variables and their order, patterns."""

"""Secrets in inventories: vault blocks and files, `!secret`, and the passwords that open them."""

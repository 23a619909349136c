"""Checks of a host. A file that defines ``CHECK`` is one; nothing else registers it."""

"""Checks of the controller. A file that defines ``CHECK`` is one; nothing else registers it."""

"""What ``activate`` does: the reload, the replacement, and the way back. No file here is a task."""

"""One look at a host that brings everything planning needs."""

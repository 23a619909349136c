"""What ``doctor`` checks, one file a check: those of ``host/`` and of ``controller/`` are found by a folder scan."""

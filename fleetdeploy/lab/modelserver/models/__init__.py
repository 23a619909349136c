"""Which versions are wanted, loaded and serving: configs, scans, states, transitions."""

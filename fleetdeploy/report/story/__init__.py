"""A run as its events tell it: what live views, recaps and reports of old runs are drawn from."""

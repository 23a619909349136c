"""Hosts that a run could not reach while it switched others over: remembered until they have what they owe."""

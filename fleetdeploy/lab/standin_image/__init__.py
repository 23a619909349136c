"""The stand-in as a container image, built from what is on this machine."""

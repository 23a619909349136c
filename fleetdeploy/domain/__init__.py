"""The words of the product as frozen dataclasses, and the protocols that upper floors fill in."""

"""Commands that may change the fleet, and what they have in common."""

"""From arguments to everything a command works on: inventory, playbook, plays bound to hosts."""

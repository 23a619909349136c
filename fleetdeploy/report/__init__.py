"""What people and programs read: functions of plans, observations and events. Nothing here does work."""

"""The way to a host: connections, channels, commands, and whom to trust."""

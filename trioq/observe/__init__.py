"""What people see of an engine: logs and a live line, made from its events."""

"""What is printed for programs and may be relied on: events, the result of a run, the status."""

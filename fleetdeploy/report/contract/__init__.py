"""What is printed for programs and may be relied on: events, results, the status."""

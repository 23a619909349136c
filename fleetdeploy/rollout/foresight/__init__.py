"""What a run would do, seen before it is begun: work, waves, what stays in service, how long it takes."""

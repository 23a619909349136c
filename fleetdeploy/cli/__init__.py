"""The command line: arguments, wiring, exit code. One file per noun; heavy imports wait until a command runs."""

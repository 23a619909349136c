"""What evaluates templates and expressions: Jinja2's sandbox, with an end to the work and the memory one may take."""

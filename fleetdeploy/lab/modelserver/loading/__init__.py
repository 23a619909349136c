"""From a version directory to a model that may serve."""

"""TensorFlow and TensorFlow Lite without their Python packages: models in memory, and how they run."""

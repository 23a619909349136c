"""A stand-in for TensorFlow Serving's `tensorflow_model_server`; `README.md` beside this file says what it is not."""

from typing import Final

VERSION: Final = "1.0"
"""What `--version` says unless the environment variable STANDIN_BUILD says otherwise."""

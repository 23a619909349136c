"""What hosts and their servers say, made safe to print."""

from __future__ import annotations

import re

from fleetdeploy.domain.redaction import shortened

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MOST = 400


def printable(text: str) -> str:
    """A host's words, safe to print: one line, no control characters, not too long."""
    return shortened(_CONTROL.sub("", " ".join(text.split())), _MOST)

"""Whether a name has an address, asked without waiting for a resolver that does not answer."""

from __future__ import annotations

import socket
import threading

_ASKED_S = 3.0


def why_not(address: str, *, within_s: float = _ASKED_S) -> str:
    """Why the name does not resolve; nothing where it does, or where nobody says so in time."""
    found: list[str] = []

    def ask() -> None:
        try:
            socket.getaddrinfo(address, None)
        except (OSError, UnicodeError) as error:  # a label that is too long is no name for the codec
            if getattr(error, "errno", None) == socket.EAI_AGAIN:
                return
            found.append(str(getattr(error, "strerror", None) or error))

    asking = threading.Thread(target=ask, name="resolving", daemon=True)  # the C library's call cannot be ended
    asking.start()
    asking.join(within_s)
    return next(iter(found), "")

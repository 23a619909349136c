"""What holds for all tests, wherever they are started."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """A shell starts what it puts into the background so that Ctrl-C is ignored, and so would everything be that tests
    start: they send it, and mean to be heard.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)

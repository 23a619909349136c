"""What holds for all tests, wherever they are started."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """A shell starts what it puts into the background so that Ctrl-C is ignored, ``nohup`` what it starts so that
    hang-ups are; so would everything be that tests start: they send both, and mean to be heard.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

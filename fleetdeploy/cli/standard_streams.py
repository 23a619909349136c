"""Standard input, output and error as every command may count on them: open, and able to take any text."""

from __future__ import annotations

import io
import os
import sys

_NAMES = ("stdin", "stdout", "stderr")


def make_whole() -> None:
    """Open on /dev/null what the caller left closed, before anything else is opened; and let no text be too rich for
    the encoding of what is open.

    A closed descriptor is the next one that the kernel hands out: a journal or a connection would become standard
    output, and whatever a child process prints would go into it.
    """
    for number, name in enumerate(_NAMES):
        if not _is_open(number):
            _open_on_nothing(number)
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            stream = open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="backslashreplace")


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _open_on_nothing(number: int) -> None:
    opened = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
    if opened == number:
        os.set_inheritable(number, True)  # as standard streams are: a child process would find it closed again
    else:
        os.dup2(opened, number)
        os.close(opened)

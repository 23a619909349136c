"""Secrets in expressions: they can be passed on as they are; whatever looks at one needs it opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from fleetdeploy.domain.secret import Secret, holds_secret, without_secrets

View = Callable[[object], object]
"""How an expression sees a plain value that may hold secrets: with them sealed, or with them opened."""


class NeedsSecret(Exception):
    """An expression looked into a sealed secret."""

    def __init__(self, secret: Secret) -> None:
        super().__init__("a secret is needed")
        self.secret = secret


class Sealed:
    """A secret in an expression that is evaluated without opening any: any use but passing it on raises NeedsSecret."""

    def __init__(self, secret: Secret) -> None:
        self.secret = secret

    def _needed(self, *_: object) -> NoReturn:
        raise NeedsSecret(self.secret)

    # Of all that a template or a filter may ask a value for.
    __str__ = __repr__ = __format__ = __len__ = __iter__ = __bool__ = __contains__ = __getitem__ = _needed
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _needed
    __int__ = __float__ = __index__ = __neg__ = __abs__ = __round__ = _needed
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __floordiv__ = __mod__ = _needed


def sealed(value: object) -> object:
    """``value`` with its secrets sealed."""
    return without_secrets(value, Sealed) if holds_secret(value) else value


def opened(value: object) -> object:
    """``value`` with its secrets opened. Raises InputError."""
    return without_secrets(value, Secret.reveal) if holds_secret(value) else value

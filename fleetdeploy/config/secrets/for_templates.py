"""What templates see of a host's variables: secrets as their values, each opened when a template comes to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.domain.secret import Secret, holds_secret, without_secrets


class Opened(Mapping[str, object]):
    """A mapping whose secrets are opened by being looked at; ``used`` knows those that were."""

    def __init__(self, values: Mapping[str, object], used: Redactor) -> None:
        self._values = values
        self._used = used

    def __getitem__(self, key: str) -> object:
        value = self._values[key]
        if not holds_secret(value):
            return value
        return Opened(value, self._used) if isinstance(value, Mapping) else without_secrets(value, self._reveal)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def _reveal(self, secret: Secret) -> str:
        value = secret.reveal()
        self._used.add(value)
        return value


def for_templates(values: Mapping[str, object], used: Redactor) -> Mapping[str, object]:
    """``values`` for a template; a plain copy where no secret is among them."""
    return Opened(values, used) if holds_secret(values) else dict(values)

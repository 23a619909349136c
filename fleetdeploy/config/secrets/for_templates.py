"""What templates see of a host's variables: expressions as what they give, secrets as their values.

Each is rendered, and opened, when a template comes to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.domain.secret import Secret, holds_secret
from fleetdeploy.domain.templated import Templated, holds_template


class Opened(Mapping[str, object]):
    """A mapping whose expressions are rendered and whose secrets are opened by being looked at.

    ``used`` knows the secrets that were.
    """

    def __init__(self, values: Mapping[str, object], used: Redactor) -> None:
        self._values = values
        self._used = used

    def __getitem__(self, key: str) -> object:
        return self._seen(self._values[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def _seen(self, value: object) -> object:
        if isinstance(value, Templated):
            return self._seen(value.rendered())
        if isinstance(value, Secret):
            opened = value.reveal()
            self._used.add(opened)
            return opened
        if not _waits(value):
            return value
        if isinstance(value, Mapping):
            return Opened(value, self._used)
        assert isinstance(value, (list, tuple))
        return [self._seen(item) for item in value]


def for_templates(values: Mapping[str, object], used: Redactor) -> Mapping[str, object]:
    """``values`` for a template; a plain copy where nothing in them is to be rendered or opened."""
    return Opened(values, used) if _waits(values) else dict(values)


def _waits(value: object) -> bool:
    return holds_secret(value) or holds_template(value)

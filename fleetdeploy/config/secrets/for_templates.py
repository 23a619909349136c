"""What templates and conditions see of a host's variables: expressions as what they give.

Secrets are their values to templates, and sealed for conditions. Each is rendered, and opened, when something comes to
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from fleetdeploy.config.secrets.sealed import Sealed
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.domain.secret import Secret, holds_secret
from fleetdeploy.domain.templated import Templated, holds_template

SPECIAL = ("inventory_hostname", "inventory_hostname_short", "group_names")


class Seen(Mapping[str, object]):
    """A mapping whose expressions are rendered by being looked at; ``path`` is what messages call it."""

    def __init__(self, values: Mapping[str, object], secret: Callable[[Secret], object], path: str) -> None:
        self._values = values
        self._secret = secret
        self._path = path

    def __getitem__(self, key: str) -> object:
        return self._seen(self._values[key], f"{self._path}.{key}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def _seen(self, value: object, path: str) -> object:
        if isinstance(value, Templated):
            return self._seen(value.rendered(), path)
        if isinstance(value, Secret):
            return self._secret(value)
        if not holds_secret(value) and not holds_template(value):
            return value  # as it is, so that filters are charged for its size
        if isinstance(value, Mapping):
            return Seen(value, self._secret, path)
        assert isinstance(value, (list, tuple))
        return [self._seen(item, f"{path}[{index}]") for index, item in enumerate(value)]


def for_templates(values: Mapping[str, object], used: Redactor) -> Mapping[str, object]:
    """``values`` as `host` of a template. ``used`` knows the secrets that were opened."""

    def opened(secret: Secret) -> str:
        value = secret.reveal()
        used.add(value)
        return value

    return Seen(values, opened, "host")


def for_conditions(values: Mapping[str, object]) -> Mapping[str, object]:
    """``values`` for a condition, which opens no secret. Looking at one may raise InputError."""
    return _Top(values, Sealed, "")


class _Top(Seen):
    def __getitem__(self, key: str) -> object:
        return self._seen(self._values[key], key)


def special(host: Host) -> dict[str, object]:
    """What Ansible calls magic variables: the host's name, also without its domain, and its groups."""
    return {
        "inventory_hostname": host.name,
        "inventory_hostname_short": host.name.split(".", maxsplit=1)[0],
        "group_names": sorted(group for group in host.groups if group != "all"),
    }


def rendered(value: object) -> object:
    """A variable's plain value where it is no list or mapping, as far as expressions go. Raises InputError."""
    return rendered(value.rendered()) if isinstance(value, Templated) else value

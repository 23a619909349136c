"""``hostvars``, as expressions see it: nothing is rendered before somebody looks at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from fleetdeploy.config.secrets.sealed import View

if TYPE_CHECKING:
    from fleetdeploy.config.inventory.lazy import LazyVariables


class HostVars(Mapping[str, object]):
    """``hostvars``: every host by name, each with its variables, rendered one by one."""

    def __init__(self, lazy: LazyVariables, trail: tuple[str, ...], view: View) -> None:
        self._lazy = lazy
        self._trail = trail
        self._view = view

    def __getitem__(self, host: str) -> object:
        if host not in self._lazy.hosts():
            raise KeyError(host)
        return _VarsOf(self._lazy, host, self._trail, self._view)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lazy.hosts())

    def __len__(self) -> int:
        return len(self._lazy.hosts())


class _VarsOf(Mapping[str, object]):
    """One host of ``hostvars``."""

    def __init__(self, lazy: LazyVariables, host: str, trail: tuple[str, ...], view: View) -> None:
        self._lazy = lazy
        self._host = host
        self._trail = trail
        self._view = view

    def __getitem__(self, name: str) -> object:
        if name not in self._lazy.names_of(self._host):
            raise KeyError(name)
        return self._lazy.value_of(self._host, name, self._trail, self._view)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lazy.names_of(self._host))

    def __len__(self) -> int:
        return len(self._lazy.names_of(self._host))

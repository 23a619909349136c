"""What the YAML reader needs of whoever opens secrets; :mod:`fleetdeploy.config.secrets.store` is it."""

from __future__ import annotations

from typing import Protocol

from fleetdeploy.config.syntax.nodes import Node
from fleetdeploy.domain.origin import Origin
from fleetdeploy.domain.secret import Secret


class Secrets(Protocol):
    """Makes secrets of ``!vault``, of ``!secret`` and of what stands in encrypted files."""

    def vaulted(self, text: str, origin: Origin) -> Secret: ...

    def referred(self, node: Node, origin: Origin) -> Secret: ...

    def decrypted(self, text: str, *, file: str) -> str: ...

    def sealed(self, node: Node) -> Node: ...

"""A service's files on its host: configuration, release record, drain marker, version directories."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence

from fleetdeploy.domain.balancer import nothing
from fleetdeploy.domain.measured import OnCopy, unseen
from fleetdeploy.domain.observed import Release
from fleetdeploy.domain.plan import StageItem
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.errors import RemoteCommandFailed
from fleetdeploy.planning.before import CONFIG_FILE
from fleetdeploy.remote.directory.records import history_line, release_from_json, release_to_json
from fleetdeploy.remote.directory.rsync import SshConfigFile, Stager
from fleetdeploy.remote.directory.verbs import ServiceDirectory, Token, safe_name, unleased
from fleetdeploy.remote.ssh.connection import SshConnection


class RemoteFiles:
    """:class:`fleetdeploy.domain.protocols.ServiceFiles` over SSH; every method is one remote command, but ``stage``.

    The directory is refused when it exists, is not empty and lacks our marker, and so is any symbolic link in it.
    ``check`` raises LeaseLost, for what carries no fencing number itself.
    """

    def __init__(
        self,
        connection: SshConnection,
        wish: ServiceWish,
        *,
        ssh_config: SshConfigFile,
        token: Token = unleased,
        check: Callable[[], None] = nothing,
    ) -> None:
        self._directory = ServiceDirectory(connection, wish.directory, token=token)
        self._check = check
        self._ssh_config = ssh_config

    def stage(self, item: StageItem, *, progress: OnCopy = unseen) -> None:
        """See :meth:`fleetdeploy.remote.directory.rsync.Stager.stage`."""
        Stager(self._directory, ssh_config=self._ssh_config, check=self._check).stage(item, progress=progress)

    def write_config(self, text: str) -> None:
        """Replace ``config/model.config``."""
        self._write(CONFIG_FILE, text)

    def write_monitoring(self, text: str) -> None:
        """Replace ``config/monitoring.config``."""
        self._write("config/monitoring.config", text)

    def read_config(self) -> str | None:
        """The text of ``config/model.config``; what a login shell prints before it is not taken for a part of it."""
        nonce = secrets.token_hex(8)
        output = self._directory.act("read", nonce, CONFIG_FILE)
        found = re.search(rf"(?ms)^{nonce} (?:absent$|there\n(.*){nonce} end$)", output)
        if found is None:
            where = self._directory.connection.host.name
            raise RemoteCommandFailed("the host's answer with model.config cannot be understood", where=where)
        return found[1]

    def write_release(self, release: Release, *, left: str = "") -> None:
        """Write ``releases/<id>.json``, a line of ``releases/history``, then the id to ``releases/current``."""
        data, gone = release_to_json(release).encode(), left and safe_name(left)
        self._directory.act("release", safe_name(release.id), str(len(data)), history_line(release), gone, stdin=data)

    def read_release(self, release_id: str) -> Release | None:
        """The text of ``releases/<id>.json``, understood."""
        text = self._directory.act("record", safe_name(release_id))
        try:
            return release_from_json(text) if text else None
        except ValueError as error:
            raise RemoteCommandFailed(
                f"releases/{release_id}.json: {error}", where=self._directory.connection.host.name
            ) from error

    def forget_releases(self, ids: Sequence[str]) -> None:
        """Remove ``releases/<id>.json`` of each."""
        if ids:
            self._directory.act("forget", *map(safe_name, ids))

    def forget_release(self, *, left: str = "") -> None:
        """Remove ``releases/current``; the records stay, but for that of ``left``."""
        self._directory.act("unrelease", left and safe_name(left))

    def mark_drained(self, run: str) -> None:
        """Write the run's id to ``drained``."""
        self._write("drained", f"{run}\n")

    def clear_drained(self) -> None:
        """Remove ``drained``."""
        self._directory.act("clear", "drained")

    def remove_versions(self, model: str, versions: Sequence[int]) -> None:
        """Rename each version directory into ``staging``, then delete it there and its manifest."""
        if versions:
            self._directory.act("remove", safe_name(model), *map(str, versions), deadline_s=600.0)

    def sweep_staging(self) -> None:
        """Delete what interrupted runs left, but copies younger than a week of versions not yet in place."""
        self._directory.act("sweep", deadline_s=600.0)

    def _write(self, path: str, text: str) -> None:
        data = text.encode()
        self._directory.act("write", path, str(len(data)), stdin=data)

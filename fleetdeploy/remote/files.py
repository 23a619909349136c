"""A service's files on its host: configuration, release record, drain marker, version directories."""

from __future__ import annotations

from collections.abc import Sequence

from fleetdeploy.domain.observed import Release
from fleetdeploy.domain.plan import StageItem
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.remote.records import release_to_json
from fleetdeploy.remote.rsync import SshConfigFile, Stager
from fleetdeploy.remote.ssh import SshConnection
from fleetdeploy.remote.verbs import ServiceDirectory, safe_name


class RemoteFiles:
    """:class:`fleetdeploy.domain.protocols.ServiceFiles` over SSH; every method is one remote command, but ``stage``.

    The directory is refused when it exists, is not empty and lacks our marker, and so is any symbolic link in it.
    """

    def __init__(self, connection: SshConnection, wish: ServiceWish, *, ssh_config: SshConfigFile) -> None:
        self._directory = ServiceDirectory(connection, wish.directory)
        self._ssh_config = ssh_config

    def stage(self, item: StageItem) -> None:
        """See :meth:`fleetdeploy.remote.rsync.Stager.stage`."""
        Stager(self._directory, ssh_config=self._ssh_config).stage(item)

    def write_config(self, text: str) -> None:
        """Replace ``config/model.config``."""
        self._write("config/model.config", text)

    def write_release(self, release: Release) -> None:
        """Write ``releases/<id>.json``, then ``releases/current``, which holds the id."""
        data = release_to_json(release).encode()
        self._directory.act("release", safe_name(release.id), str(len(data)), stdin=data)

    def forget_release(self) -> None:
        """Remove ``releases/current``; the records stay."""
        self._directory.act("clear", "releases/current")

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

"""The copy as a command, and what its exit codes mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.plan import StageItem
from fleetdeploy.domain.service import Manifest, ManifestFile, ModelVersion
from fleetdeploy.errors import (
    DeadlineExceeded,
    HostError,
    HostKeyRefused,
    LeaseLost,
    RemoteCommandFailed,
    TransferFailed,
)
from fleetdeploy.remote.directory import copy_process, files, rsync
from fleetdeploy.remote.directory.copy_failures import failure_of, is_final
from fleetdeploy.remote.directory.verbs import safe_name
from fleetdeploy.remote.ssh.failures import LOGIN_HINT
from fleetdeploy.remote.ssh.tracing import Tracing


def argv() -> list[str]:
    paths = Path("/tmp/x y/cfg"), Path("/models/7"), PurePosixPath("/srv/s/staging/a b")
    words = rsync.rsync_argv(*paths, fsync=True, remote="exec rsync")
    return words[words.index("rsync") :]


def test_the_copy_follows_no_link_and_deletes_nothing() -> None:
    """rsync is told to copy plain files only, with fixed modes, and never to delete or write in place."""
    words = argv()
    for wanted in ("--protect-args", "--no-links", "--no-devices", "--no-specials", "--chmod=D0755,F0644", "--fsync"):
        assert wanted in words
    assert not [word for word in words if word.startswith(("--delete", "--inplace", "--copy", "--trust"))]
    assert words[-2:] == ["/models/7/", "fleetdeploy-0:/srv/s/staging/a b/"]


def test_rsyncs_ssh_uses_the_written_configuration() -> None:
    """The remote shell is ssh with our file, its path kept one word by rsync's own quoting."""
    words = argv()
    assert words[words.index("-e") + 1] == 'ssh -F "/tmp/x y/cfg"'


@pytest.mark.parametrize(("versions", "expected"), [(("3.2.4", "3.5.0"), True), (("3.2.3", "3.5.0"), False),
                                                    (("3.5.0", ""), False)])  # fmt: skip
def test_fsync_is_used_when_both_ends_know_it(versions: tuple[str, str], expected: bool) -> None:
    """--fsync needs rsync 3.2.4 on both sides; an unknown version counts as old."""
    assert rsync._know(rsync._FSYNC, *versions) is expected


@pytest.mark.parametrize("code", [1, 2, 3, 5, 10, 11, 12, 20, 23, 24, 30, 35, 255, 99])
def test_every_exit_code_is_an_error_with_a_meaning(code: int) -> None:
    """No exit code of rsync but 0 is taken for success, and each says what it means."""
    error = failure_of(code, "rsync error: x", "gpu1")
    assert isinstance(error, TransferFailed)
    assert f"status {code}" in error.message
    assert error.hint


def test_a_source_that_went_away_is_named_as_the_reason() -> None:
    """Vanished source files are the source's fault, not the network's."""
    assert "source changed" in failure_of(24, "file has vanished", "gpu1").hint
    assert "source changed" in failure_of(23, "link_stat failed: No such file or directory", "gpu1").hint


def test_a_refused_host_key_is_not_a_transfer_error() -> None:
    """rsync's ssh refusing the key is the same error as paramiko's refusal."""
    error = failure_of(255, "Host key verification failed.", "gpu1")
    assert isinstance(error, HostKeyRefused)
    assert error.hint


def test_a_key_that_others_may_read_is_named_with_its_mend() -> None:
    """Of what ssh says the reason is told, not that the login was refused, which only follows from it."""
    said = (
        "@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\nPermissions 0644 for '/home/ops/a key' are too open.\n"
        'Load key "/home/ops/a key": bad permissions\nops@10.0.0.1: Permission denied (publickey).\n'
    )
    assert failure_of(255, said, "gpu1").hint.endswith("chmod 600 '/home/ops/a key'")


def test_a_refused_login_is_not_to_be_run_again() -> None:
    """The advice is that of every refused login, and no further try is made."""
    said = "ops@10.0.0.1: Permission denied (publickey,password)."
    assert failure_of(255, said, "gpu1").hint == LOGIN_HINT
    assert is_final(said)
    of_a_file = 'rsync: [receiver] mkstemp "/srv/x" failed: Permission denied (13)'
    assert not is_final(of_a_file)
    assert failure_of(23, of_a_file, "gpu1").hint == "run again"


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a//b", "a/./b", "", "a\nb", "a/../b"])
def test_a_manifest_cannot_lead_outside(path: str) -> None:
    """A path that leaves its directory, or has control characters, is refused before anything is copied."""
    with pytest.raises(TransferFailed, match="not a path inside"):
        rsync._check_paths(Manifest((ManifestFile(path, 1, "0" * 64),)), "gpu1")


def test_the_staging_name_is_stable_and_never_a_number() -> None:
    """The same content is staged under the same name, so that it resumes, and no server takes it for a version."""
    item = StageItem("ranker", ModelVersion(7, Path("/m"), Manifest((ManifestFile("a", 1, "0" * 64),))), 1)
    assert rsync._staged(item) == rsync._staged(item) == f"ranker-7-{item.version.manifest.digest[:12]}"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "a b", "a\n", "x" * 200])
def test_a_name_is_one_harmless_part_of_a_path(name: str) -> None:
    """Names that would leave their directory or read as options are refused."""
    with pytest.raises(RemoteCommandFailed):
        safe_name(name)


def test_a_copy_that_hangs_is_ended_with_its_ssh(
    tmp_path: Path, await_end: Callable[[Path], None], patience: Callable[[Path], Iterator[float]]
) -> None:
    """Nothing that rsync has started goes on writing when the time is over."""
    started = tmp_path / "pid"
    for deadline_s in patience(started):
        with pytest.raises(DeadlineExceeded, match="the copy did not end in time"):
            copy_process.run_copy(
                ["sh", "-c", f'sleep 300 & echo $! >"{started}"; wait'], b"", timeout_s=deadline_s, host="gpu1"
            )
    await_end(started)


class Directory:
    """A service's directory, for a copy whose every attempt ends as it is told; ``said`` is what was done, in order."""

    directory = PurePosixPath("/srv/s")

    def __init__(self) -> None:
        self.connection = self
        self.host = Host("gpu1", Connection("x"))
        self.said: list[str] = []
        self.traced: list[str] = []
        self.tracing = Tracing("gpu1", lambda _host, what, **_: self.traced.append(what))

    def as_started(self, *_: object, **__: object) -> str:
        return "exec rsync"

    def end_marked(self, _: str) -> None:
        self.said.append("ended")


def test_no_copy_is_begun_without_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """rsync knows of no lease: it is asked for before every attempt, and its loss is the end of the copy."""
    directory = Directory()
    codes = iter([12, 12])

    def copy(*_: object, **__: object) -> tuple[int, str]:
        directory.said.append("copied")
        return next(codes), "the connection broke"

    def check() -> None:
        directory.said.append("asked")
        if directory.said.count("copied") == 2:
            raise LeaseLost("somebody took over", where="gpu1")

    monkeypatch.setattr(rsync, "run_copy", copy)
    monkeypatch.setattr(rsync, "_local_version", lambda: "3.2.7")
    monkeypatch.setattr(rsync.time, "sleep", lambda _: None)
    monkeypatch.setattr(rsync.Stager, "_is_full", lambda *_: False)
    stager = rsync.Stager(directory, ssh_config=lambda: Path("/cfg"), check=check)  # type: ignore[arg-type]
    item = StageItem("ranker", ModelVersion(7, Path("/m"), Manifest((ManifestFile("a", 1, "0" * 64),))), 1)
    with pytest.raises(LeaseLost):
        stager._rsync(item, ["a"], "3.2.7", copy_process.CopyMeter("ranker", 7, 1))
    assert directory.said == ["ended", "asked", "copied"] * 2 + ["ended", "asked"]
    assert len(directory.traced) == 2
    for told in directory.traced:
        assert told.startswith("rsync --protect-args ")
        assert told.endswith(
            "/m/ fleetdeploy-0:/srv/s/staging/ranker-7-" + item.version.manifest.digest[:12] + "/: status 12"
        )
        assert "exec rsync" not in told


@pytest.mark.parametrize(
    ("said", "attempts"),
    [("Permission denied (publickey).", 1), ("Host key verification failed.", 1), ("Connection reset by peer", 4)],
)
def test_a_refusal_of_sshs_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, said: str, attempts: int) -> None:
    """A lost connection is; both have one exit code."""
    copies: list[str] = []

    def copy(*_: object, **__: object) -> tuple[int, str]:
        copies.append(said)
        return 255, said

    monkeypatch.setattr(rsync, "run_copy", copy)
    monkeypatch.setattr(rsync, "_local_version", lambda: "3.2.7")
    monkeypatch.setattr(rsync.time, "sleep", lambda _: None)
    monkeypatch.setattr(rsync.Stager, "_is_full", lambda *_: False)
    stager = rsync.Stager(Directory(), ssh_config=lambda: Path("/cfg"), check=lambda: None)  # type: ignore[arg-type]
    item = StageItem("ranker", ModelVersion(7, Path("/m"), Manifest((ManifestFile("a", 1, "0" * 64),))), 1)
    with pytest.raises(HostError):
        stager._rsync(item, ["a"], "3.2.7", copy_process.CopyMeter("ranker", 7, 1))
    assert len(copies) == attempts


def test_the_lease_that_files_ask_for_reaches_the_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service's files are given to prove their lease with is what the copy is begun with."""
    begun: list[object] = []

    class Begun:
        def __init__(self, _: object, *, check: object, **__: object) -> None:
            begun.append(check)

        def stage(self, _: object, **__: object) -> None:
            begun.append("staged")

    def check() -> None:
        raise LeaseLost("somebody took over")

    monkeypatch.setattr(files, "Stager", Begun)
    wish = SimpleNamespace(directory=PurePosixPath("/srv/s"))
    kept = files.RemoteFiles(None, wish, ssh_config=lambda: Path("/cfg"), check=check)  # type: ignore[arg-type]
    kept.stage(None)  # type: ignore[arg-type]
    assert begun == [check, "staged"]

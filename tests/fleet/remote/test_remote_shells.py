"""The remote scripts under every shell and set of tools that a host may have."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fleetdeploy.domain.observed import Present, Unknown
from fleetdeploy.domain.service import (
    ServiceWish,
)
from fleetdeploy.remote.directory.verbs import UNLEASED, script_of
from fleetdeploy.remote.fleet import SshFleet
from fleetdeploy.remote.probe.probe import arguments, parse, script
from tests.fleet.remote.private_sshd import PrivateSshd
from tests.fleet.remote.staging_files import FILES, busybox, stage_item, version


def test_every_shell_gives_the_same_answer(
    sshd: PrivateSshd, fleet: SshFleet, service: ServiceWish, tmp_path: Path
) -> None:
    """The probe and the file verbs do the same under dash, bash and busybox, with GNU's tools or busybox's own."""
    files = fleet.session(sshd.host()).files(service)
    files.stage(stage_item(version(tmp_path / "src", 7, FILES)))
    files.write_config("text\n")
    shells = [(["dash"], {}), (["bash", "--posix"], {}), *busybox(tmp_path / "busybox")]
    seen = []
    for shell, environment in shells:
        argv = [*shell, "-s", "--", "0123", *arguments([service])]
        done = subprocess.run(
            argv, input=script(), capture_output=True, timeout=60, check=True, env={**os.environ, **environment}
        )
        seen.append(parse(done.stdout, "0123", host="gpu1", services=[service]).observed)
    for host in seen:
        found, first = host.services["ranking"], seen[0].services["ranking"]
        assert (found.config_text, found.versions, found.staging) == (Present("text\n"), first.versions, ())
        assert isinstance(found.disk, Present)
        assert isinstance(host.listening, Present)
        assert (host.addresses, host.boot_id) == (seen[0].addresses, seen[0].boot_id)


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_the_file_verbs_work_in_every_shell(shell: str, tmp_path: Path) -> None:
    """A configuration is written, a version checked and put in place, and one removed, by each shell and its tools."""
    variants: list[tuple[list[str], dict[str, str]]] = [(["dash"], {}), (["bash", "--posix"], {})]
    variants += busybox(tmp_path / "busybox")
    found = [variant for variant in variants if shell in variant[0][0]]
    assert found, f"{shell} is not installed; .ci/packages installs it"
    argv, environment = found[0]
    text = script_of("files.sh")
    root = tmp_path / "service"

    def act(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*argv, "-c", text, "fleetdeploy", words[0], str(root), *UNLEASED, *words[1:]],
            input=stdin, capture_output=True, timeout=60, check=False, env={**os.environ, **environment},
        )  # fmt: skip

    assert act("write", "config/model.config", "4", stdin=b"abc\n").returncode == 0
    assert b"only 2 of 9 bytes" in act("write", "config/model.config", "9", stdin=b"ab").stderr
    assert (root / "config/model.config").read_text() == "abc\n"
    item = version(tmp_path / "src", 7, FILES)
    manifest = item.manifest.as_sha256sum().encode()
    words = ("0123", "ranker", "7", "ranker-7-x")
    assert act("prepare", *words, "10", "10", "0", str(len(manifest)), stdin=manifest).returncode == 0
    assert act("finish", *words).returncode == 44
    shutil.copytree(item.directory, root / "staging/ranker-7-x", dirs_exist_ok=True)
    done = act("finish", *words)
    assert done.returncode == 0, done.stderr
    assert (root / "models/ranker/7/saved_model.pb").read_bytes() == b"graph"
    words = ("0123", "ranker", "8", "ranker-8-x")
    assert act("prepare", *words, "9" * 12, "10", "7", str(len(manifest)), stdin=manifest).returncode == 43
    linked = act("prepare", *words, "10", "10", "7", str(len(manifest)), stdin=manifest)
    assert sorted(linked.stdout.decode().splitlines()[2:-1]) == sorted(FILES)
    assert act("remove", "ranker", "7").returncode == 0
    assert act("sweep").returncode == 0
    assert not list((root / "models/ranker").iterdir())


def test_a_host_without_tools_is_unknown_and_not_empty(tmp_path: Path, service: ServiceWish) -> None:
    """Where docker, nvidia-smi and every HTTP client are missing, nothing is Absent because of that."""
    for tool in ("sh", "cat", "date", "df", "find", "grep", "ls", "sed", "tail", "head"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    done = subprocess.run(
        ["sh", "-s", "--", "0123", *arguments([service])],
        input=script(), capture_output=True, timeout=60, check=True, env={"PATH": str(tmp_path)},
    )  # fmt: skip
    host = parse(done.stdout, "0123", host="gpu1", services=[service]).observed
    for reading in (host.docker, host.gpus, host.containers, host.services["ranking"].container):
        assert isinstance(reading, Unknown)
        assert re.search("docker|nvidia-smi", reading.reason)
    served = host.services["ranking"].served["ranker"]
    assert isinstance(served, Unknown)
    assert served.reason.startswith("no tool")
    assert isinstance(host.addresses, Present)


def test_a_closed_directory_is_unknown_and_not_absent(tmp_path: Path, service: ServiceWish) -> None:
    """A directory that the SSH user may not enter is Unknown: the files in it may well be there."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    base = Path(service.directory).parent
    (base / "ranking/config").mkdir(parents=True)
    base.chmod(0o700)
    argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-s", "--", "0123"]
    done = subprocess.run([*argv, *arguments([service])], input=script(), capture_output=True, timeout=60, check=True)
    found = parse(done.stdout, "0123", host="gpu1", services=[service]).observed.services["ranking"]
    for reading in (found.config_text, found.release, found.versions, found.drained_by):
        assert isinstance(reading, Unknown)
        assert "cannot be entered" in reading.reason

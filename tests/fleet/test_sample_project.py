"""The annotated sample, deployed: its own files, with three hosts of the lab in the places of gpu1, gpu2 and gpu3."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.load import load, nothing_failed
from tests.fleet.onlooker import admin_state, container, identities, machines, make_new, on, traffic
from tests.fleet.project import REPOSITORY, Result, exported

EXAMPLE = Path("inventories/example")
LIMIT = "gpu1.example.net,gpu2.example.net,gpu3.example.net"
SECRETS = {
    "FEATURE_STORE_TOKEN": "token-from-the-environment",
    "AUDIT_KEY": "key-from-a-file",
    "TRACE_SALT": "salt-from-a-program",
    "RANKING_API_KEY": "sk-example-0000",
}
WEBHOOK = """
import http.server, sys
class Taker(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[1], "ab") as file:
            file.write(self.path.encode() + b" " + body + b"\\n")
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 9095), Taker).serve_forever()
"""


@dataclass(frozen=True)
class Sample:
    """The sample as a user would have it: copied, with models beside its inventory and its secrets in place."""

    lab: Lab
    root: Path

    def run(self, *words: str, expect: int = 0) -> Result:
        """A command on the three hosts, inside the lab's network: there 127.0.0.1 belongs to nobody else."""
        argv = (*words, "-i", str(EXAMPLE), "-i", "lab.yml", "--limit", LIMIT)
        process = subprocess.Popen(
            [*self.lab.nsenter_argv(), sys.executable, "-m", "fleetdeploy", *argv,
             "--state-dir", str(self.root / "state"),
             "-e", f"serving_image={self.lab.images[0]}", "-e", "fleet_network=10.77.0.0/16"],
            cwd=self.root, env=self._environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            stdout, stderr = process.communicate(timeout=150)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate(timeout=10)
            raise AssertionError(f"not ended in time: {argv}\n{stdout}\n{stderr}") from None
        result = Result(argv, process.returncode, stdout, stderr)
        assert result.code == expect, str(result)
        assert [name for name, value in SECRETS.items() if value in result.text] == []
        return result

    def deploy(self, *words: str, expect: int = 0) -> Result:
        return self.run("deploy", *words, expect=expect)

    def unchanged(self, *words: str) -> None:
        """A deploy that finds nothing to do, and does nothing."""
        before = identities(self.lab), admin_state(self.lab), self.told()
        result = self.deploy("--json", *words)
        assert set(result.states().values()) == {"ok"}, str(result)
        assert (identities(self.lab), admin_state(self.lab), self.told()) == before

    def edit(self, file: str, *changes: tuple[str, str]) -> None:
        path = self.root / EXAMPLE / file
        text = path.read_text(encoding="utf-8")
        for old, new in changes:
            assert text.count(old) == 1, f"{file} does not have {old!r} exactly once"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What the webhook was sent: path and content of each message."""
        file = self.root / "told"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [(line.split(" ", 1)[0], json.loads(line.split(" ", 1)[1])) for line in lines]

    def book(self) -> list[dict[str, Any]]:
        """The lines that `rolling-by-rack.yml` writes on this machine."""
        file = self.root / "rollout.jsonl"
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []

    def serves(self, host: str, model: str = "ranker", *, port: int = 8501) -> list[int]:
        """The versions that the host's server says are AVAILABLE."""
        url = f"http://{self.lab.host(host).address}:{port}/v1/models/{model}"
        answer = json.loads(on(self.lab, host, "curl", "--silent", "--max-time", "10", url))["model_version_status"]
        return sorted(int(entry["version"]) for entry in answer if entry["state"] == "AVAILABLE")

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.root / "home"),
            "NO_COLOR": "1",
            "FEATURE_STORE_TOKEN": SECRETS["FEATURE_STORE_TOKEN"],
            "ANSIBLE_VAULT_PASSWORD_FILE": str(self.root / "vault-password"),
        }


@pytest.fixture
def sample(lab: Lab, tmp_path: Path) -> Iterator[Sample]:
    for folder in (EXAMPLE, "playbooks", "templates"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("models", "golden"))
    for folder in ("models", "golden"):
        shutil.copytree(exported(lab) / folder, tmp_path / EXAMPLE / folder, copy_function=os.link)
    for name, text, mode in (
        ("home/.config/fleet/audit.key", SECRETS["AUDIT_KEY"], 0o600),
        ("bin/pass", f"#!/bin/sh\necho {SECRETS['TRACE_SALT']}", 0o700),
        ("vault-password", "this-is-only-an-example", 0o600),
        ("lab.yml", _connections(lab), 0o600),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
        path.chmod(mode)
    yield Sample(lab, tmp_path)
    make_new(lab)
    for host in machines(lab):
        on(lab, host, "rm", "-rf", "/etc/fleet")
    on(lab, "lb", "rm", "-f", "/run/rollout")


def _connections(lab: Lab) -> str:
    """A second inventory that says where the lab's hosts are, and nothing of what they shall do."""
    address = {f"{name}.example.net": lab.host(name).address for name in machines(lab)}
    address["lb1.example.net"] = lab.host("lb").address
    return json.dumps({
        "all": {
            "vars": {
                "ansible_user": "root",
                "ansible_become": False,
                "ansible_ssh_private_key_file": str(lab.paths.client_key),
                "fleetdeploy_known_hosts": str(lab.paths.known_hosts),
            },
            "hosts": {name: {"ansible_host": there} for name, there in address.items()},
        }
    })  # fmt: skip


@contextmanager
def webhook(sample: Sample) -> Iterator[None]:
    """Where the playbooks' messages go: 127.0.0.1:9095 in the lab's network."""
    inside = sample.lab.nsenter_argv()
    process = subprocess.Popen(
        [*inside, sys.executable, "-c", WEBHOOK, str(sample.root / "told")], stderr=subprocess.DEVNULL
    )
    listens = [*inside, "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9095"]
    try:
        wait_until(
            lambda: subprocess.run(listens, capture_output=True, check=False).returncode == 0,
            "the webhook listens",
            deadline_s=30,
        )
        yield
    finally:
        process.kill()
        process.wait(10)


def test_models_are_exported_beside_an_inventory(lab: Lab) -> None:
    """The export leaves nothing in an inventory's directory that would be read as one."""
    assert not [
        path.name for path in exported(lab).iterdir() if path.suffix in {".json", ".yml", ""} and path.is_file()
    ]


def test_the_example_is_deployed_in_parts(lab: Lab, sample: Sample) -> None:
    """Staged, then switched by its tags: canary, labels, limits and secrets arrive; a whole deploy has nothing left."""
    assert sample.deploy("--tags", "stage").last_line == "OK: 3 of 3 hosts changed; 3 need tasks not chosen"
    assert [container(lab, host) for host in machines(lab)] == [None] * 3
    assert sample.deploy("--tags", "switch").last_line == "OK: 3 of 3 hosts changed"
    assert {host: sample.serves(host) for host in machines(lab)} == {"gpu1": [1, 2], "gpu2": [1], "gpu3": [1]}
    assert sample.serves("gpu3", "embedder", port=8511) == [2]
    assert set(map(frozenset, traffic(lab).values())) == {frozenset({"UP"})}
    for host in machines(lab):
        found = container(lab, host)
        assert found is not None
        environment = dict(entry.split("=", 1) for entry in found["Config"]["Env"])
        assert {name: environment.get(name) for name in SECRETS} == SECRETS
        assert environment["NVIDIA_VISIBLE_DEVICES"] == ("0" if host == "gpu3" else "0,1")
        assert (found["HostConfig"]["Memory"], found["Config"]["User"]) == (16 * 1024**3, "65534:65534")
        config = on(lab, host, "cat", "/srv/fleetdeploy/ranking/config/model.config")
        assert ('"canary"' in config, '"stable"' in config) == (host == "gpu1", True)
    journals = "".join(path.read_text() for path in (sample.root / "state").rglob("*.jsonl"))
    assert journals
    assert [name for name, value in SECRETS.items() if value in journals] == []
    sample.unchanged()


@pytest.mark.long
def test_the_example_is_rolled_by_rack(lab: Lab, sample: Sample) -> None:
    """The canary's version for all, as its comment says: a failure takes all back and is told, then it is done."""
    sample.deploy()
    before = identities(lab)
    sample.edit("group_vars/ranking.yml", ("versions: [1] ", "versions: [2] "), ("{stable: 1}", "{stable: 2}"))
    sample.edit(
        "group_vars/canary.yml",
        ("services:\n", ""), ("  ranking:\n", ""), ("    models:\n", ""), ("      ranker:\n", ""),
        ("        versions: [1, 2] ", "# "), ("        labels: {canary: 2} ", "# "),
    )  # fmt: skip
    _nobody_can_be_asked(sample)
    with webhook(sample), load(sample, golden=EXAMPLE / "golden") as report:
        _a_claimed_host_stops_it(lab, sample)
        sample.deploy("playbooks/rolling-by-rack.yml")
        assert {host: sample.serves(host) for host in machines(lab)} == {"gpu1": [2], "gpu2": [2], "gpu3": [2]}
        assert identities(lab) == before
        path, message = sample.told()[-1]
        assert (path, message["message"], message["failed"]) == ("/done", "ranking is rolled out", "")
        assert sorted(line["host"].partition(".")[0] for line in sample.book()[-3:]) == machines(lab)
        assert lab.run_on("lb", ["test", "-e", "/run/rollout"], check=False).returncode == 1
        sample.unchanged("playbooks/rolling-by-rack.yml")
    nothing_failed(report)
    cards = sample.deploy("playbooks/check-gpus.yml", "-v")
    assert cards.text.count("NVIDIA H200") == 2 * len(machines(lab))


def _nobody_can_be_asked(sample: Sample) -> None:
    """Without a terminal the canary's question holds the run before anything is touched."""
    before = identities(sample.lab)
    held = sample.deploy("playbooks/canary-first.yml", expect=9)
    assert "nothing was touched" in held.text
    assert sample.serves("gpu1") == [1, 2]
    assert identities(sample.lab) == before


def _a_claimed_host_stops_it(lab: Lab, sample: Sample) -> None:
    """One host in its way fails; of three that is more than the budget, and the host before it goes back as well."""
    on(lab, "gpu2", "mkdir", "-p", "/etc/fleet/hold")
    failed = sample.deploy("playbooks/rolling-by-rack.yml", expect=3)
    assert "gpu2" in failed.last_line
    assert {host: sample.serves(host) for host in machines(lab)} == {"gpu1": [1, 2], "gpu2": [1], "gpu3": [1]}
    ((path, message),) = sample.told()
    assert (path, message["host"], message["message"]) == ("/failed", "gpu2.example.net", "a host was taken back")
    assert message["failed"]
    on(lab, "gpu2", "rmdir", "/etc/fleet/hold")

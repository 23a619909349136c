"""What starts `sync` again and again, as systemd and cron themselves read it."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from fleetdeploy.cli.changing import units

from .conftest import Project, Result

pytestmark = pytest.mark.programs


def printed(project: Project, monkeypatch: pytest.MonkeyPatch, kind: str, *more: str) -> Result:
    """As typed in the project's directory."""
    monkeypatch.chdir(project.path)
    words = ["sync", "-i", "inventory.yml", "--splay", "20s", "--print-unit", kind, *more]
    monkeypatch.setattr("sys.argv", ["fleetdeploy", *words])
    return project.run("sync", "--print-unit", kind, "--splay", "20s", *more)


def test_systemd_takes_the_units(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd-analyze has nothing to say about them, neither an error nor an unknown key."""
    monkeypatch.setattr(units, "_program", lambda: "/bin/true")
    monkeypatch.setattr(units, "_may_make", lambda place: place.name != "fd")
    monkeypatch.setenv("XDG_CACHE_HOME", str(project.path / "a cache of 50%"))
    (project.path / "fleetdeploy.yml").write_text("notify: [{url: !secret {env: HOOK}}]\n")
    for kind in ("service", "timer"):
        path = project.path / f"fleetdeploy-sync.{kind}"
        path.write_text(printed(project, monkeypatch, kind, "--state-dir", "/var/lib/a $state/fd").out)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(project.path / "fleetdeploy-sync.timer"),
         str(project.path / "fleetdeploy-sync.service")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "fleetdeploy" in line]
    assert (done.returncode, said) == (0, []), done.stderr


@pytest.mark.parametrize(
    ("every", "times"),
    [("1m", ["00:01:00", "00:02:00"]), ("5m", ["00:05:00", "00:10:00"]), ("30m", ["00:30:00", "01:00:00"]),
     ("1h", ["01:00:00", "02:00:00"]), ("6h", ["06:00:00", "12:00:00"]), ("1d", ["00:00:00", "00:00:00"])],
)  # fmt: skip
def test_the_timer_is_as_often_as_asked_for(
    project: Project, monkeypatch: pytest.MonkeyPatch, every: str, times: list[str]
) -> None:
    """By systemd's own calendar: the next two times after a midnight."""
    text = printed(project, monkeypatch, "timer", "--every", every).out
    (calendar,) = (line.partition("=")[2] for line in text.splitlines() if line.startswith("OnCalendar="))
    done = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=2", "--base-time=2026-02-03 00:00:00", calendar],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    found = [line.split()[-2] for line in done.stdout.splitlines() if "Next elapse:" in line or "Iter. #" in line]
    assert found == times, done.stdout


@pytest.mark.parametrize("settings", ["", "sync: {splay: 45s}\n"])
def test_a_splay_delays_once(project: Project, monkeypatch: pytest.MonkeyPatch, settings: str) -> None:
    """The timer is late by it, the service that it starts is not, whatever the settings say."""
    (project.path / "fleetdeploy.yml").write_text(settings)
    (begun,) = (line for line in printed(project, monkeypatch, "service").out.splitlines() if "ExecStart=" in line)
    assert begun.partition("--splay")[2].strip() == ("0s" if settings else "")
    assert "20s" not in begun
    assert "RandomizedDelaySec=20\n" in printed(project, monkeypatch, "timer").out


def test_a_timer_is_late_as_the_settings_say(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the command line does not."""
    (project.path / "fleetdeploy.yml").write_text("sync: {splay: 45s}\n")
    monkeypatch.chdir(project.path)
    assert "RandomizedDelaySec=45\n" in project.run("sync", "--print-unit", "timer").out


@pytest.mark.parametrize(
    ("every", "fields"),
    [("1m", "* * * * *"), ("5m", "*/5 * * * *"), ("1h", "0 * * * *"), ("6h", "0 */6 * * *"), ("1d", "0 0 * * *")],
)
def test_the_line_for_cron(project: Project, monkeypatch: pytest.MonkeyPatch, every: str, fields: str) -> None:
    """Five fields, then this command in this directory, without what asked for the line; % is escaped."""
    text = printed(project, monkeypatch, "cron", "--every", every, "-e", "rate=50%").out
    line = text.splitlines()[-1]
    assert line.startswith(f"{fields} cd {project.path} && ")
    assert r"rate=50\%" in line or "***" in line
    words = shlex.split(line.partition("&& ")[2].replace(r"\%", "%"))
    assert Path(words[0]).is_absolute()
    assert words[1] == "sync"
    assert "--splay" in words
    assert not {"--print-unit", "--every", "cron", every} & set(words)


@pytest.mark.parametrize(
    ("every", "why"),
    [(time, "does not go into an hour or a day without a rest") for time in ("7m", "5h", "2d")]
    + [(time, "is not whole minutes from 1m, as cron has them") for time in ("90s", "30s", "0s", "500ms")],
)
def test_what_does_not_go_into_a_day_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, every: str, why: str
) -> None:
    """Neither cron nor a calendar can say it, and the error says why."""
    result = printed(project, monkeypatch, "timer", "--every", every)
    assert result.code == 2
    assert f"'{every}' {why}" in result.err


@pytest.mark.parametrize("where", ["settings", "inventory", "playbook"])
def test_secrets_of_a_shell_are_pointed_out(project: Project, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Neither systemd nor cron hands on what a shell exports: each says which variables, and what to do; a comment
    changes nothing of what they read.
    """
    bare = {kind: printed(project, monkeypatch, kind).out for kind in ("service", "cron")}
    assert "Secret" not in bare["service"] + bare["cron"]
    if where == "settings":
        hook = "{url: 'https://chat.example/1', headers: {Authorization: !secret {env: CHAT_TOKEN}}}"
        (project.path / "fleetdeploy.yml").write_text(f"notify:\n  - {hook}\n")
    elif where == "inventory":
        project.edit("rack: r1", "rack: !secret {env: CHAT_TOKEN}")
    else:
        project.edit("    - drain:\n", "    - notify: {command: [a]}\n      environment: {T: !secret {env: "
                     "CHAT_TOKEN}}\n    - drain:\n", file="playbooks/deploy.yml")  # fmt: skip
    service, cron = (printed(project, monkeypatch, kind).out for kind in ("service", "cron"))
    assert "# Secrets are read from CHAT_TOKEN, and a service has nothing of what a shell exports.\n" in service
    assert "# EnvironmentFile=/etc/fleetdeploy/sync.env\n" in service
    assert "# Secrets are read from CHAT_TOKEN, and a line of cron has nothing" in cron
    assert "`!secret {file: PATH}`" in cron
    for text, kind in ((service, "service"), (cron, "cron")):
        assert [line for line in text.splitlines() if line[:1] != "#"] == [
            line for line in bare[kind].splitlines() if line[:1] != "#"
        ]


def test_what_is_written_is_writable_in_the_service(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """State, hashes, metrics and events have places that the service may write to, each only where it is there: systemd
    would start nothing otherwise, not even what makes it.
    """
    (project.path / "fleetdeploy.yml").write_text("textfile: metrics/fd.prom\n")
    text = printed(project, monkeypatch, "service", "--textfile", "/var/lib/node/fd.prom").out
    (places,) = values(text, "ReadWritePaths")
    own = [f"-{project.path / name}" for name in ("home/fleetdeploy", "cache/fleetdeploy", "state")]
    assert places.split()[:5] == [*own, "-/var/lib/node", f"-{project.path / 'metrics'}"]


def test_own_places_are_made_by_the_user(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """State, hashes and --state-dir are there before they are made writable, with all above them the user's own."""
    monkeypatch.setattr(units.getpass, "getuser", lambda: "ops")
    (made,) = values(printed(project, monkeypatch, "service").out, "ExecStartPre")
    maker, _, places = made.partition(" -- ")
    assert maker == "+/usr/sbin/runuser -u ops"
    own = [str(project.path / name) for name in ("home/fleetdeploy", "cache/fleetdeploy", "state")]
    assert places.split() == ["/bin/mkdir", "-p", "-m", "0700", *own]


def test_root_makes_what_the_user_may_not(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A --state-dir where the user may make none is made by root, for the user; one that is there stays whose it is."""
    monkeypatch.setattr(units.getpass, "getuser", lambda: "ops")
    monkeypatch.setattr(os, "access", lambda path, _: path != Path("/"))
    by_user, by_root = values(printed(project, monkeypatch, "service", "--state-dir", "/fd/a b").out, "ExecStartPre")
    assert "/fd" not in by_user
    there = 'test -d \\"$$0\\" || install -d -m 0700 -o \\"$$1\\" \\"$$0\\"'
    assert by_root == f'+/bin/sh -c "{there}" "/fd/a b" ops'


def test_in_the_home_only_the_user_makes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the home is not there yet, or not to be written to now."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setenv("HOME", str(project.path))
    (made,) = values(printed(project, monkeypatch, "service").out, "ExecStartPre")
    assert "runuser" in made


@pytest.mark.parametrize("kind", ["service", "cron"])
def test_places_are_the_same_when_it_is_started(project: Project, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Where the XDG variables say where own places are, the unit says it too; without them it says nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", "/srv/the state of 1%")
    monkeypatch.setenv("XDG_CACHE_HOME", "/srv/cache")
    text = printed(project, monkeypatch, kind).out
    if kind == "service":
        assert values(text, "Environment") == ['"XDG_STATE_HOME=/srv/the state of 1%%"', "XDG_CACHE_HOME=/srv/cache"]
    else:
        assert values(text, "XDG_STATE_HOME") == ['"/srv/the state of 1%"']
        assert values(text, "XDG_CACHE_HOME") == ['"/srv/cache"']
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert "XDG" not in printed(project, monkeypatch, kind).out


def values(text: str, name: str) -> list[str]:
    """What stands behind ``name=`` in each line that begins with it."""
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{name}=")]


@pytest.mark.parametrize(
    ("below", "needs_tmp"), [("/tmp", True), ("/var/tmp", True), ("/elsewhere", False), ("/tmpfiles", False)]
)
def test_a_private_tmp_hides_nothing_that_is_needed(
    project: Project, monkeypatch: pytest.MonkeyPatch, below: str, needs_tmp: bool
) -> None:
    """Where a path that the service needs is below /tmp or /var/tmp it has both as they are, and may write there."""
    monkeypatch.setattr(units, "_program", lambda: "/usr/bin/fleetdeploy")
    monkeypatch.setattr(units, "_named", lambda _: [Path("/srv/fleet"), Path(below, "models")])
    monkeypatch.setattr(units, "_own", lambda _: [Path("/var/lib/fleet")])
    monkeypatch.setattr(units, "_others", lambda _: [])
    monkeypatch.setattr(units.Path, "cwd", lambda: Path("/srv/fleet"))
    text = printed(project, monkeypatch, "service").out
    assert ("PrivateTmp=yes" in text.splitlines()) is not needs_tmp
    assert f"ReadWritePaths=-/var/lib/fleet{' -/tmp -/var/tmp' if needs_tmp else ''}\n" in text
    assert "\nPrivateDevices=yes\n" in text


def test_a_unit_of_a_broken_inventory_is_not_printed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would fail every five minutes."""
    project.edit("versions: [1]", "versions: [one]")
    result = printed(project, monkeypatch, "service")
    assert (result.code, result.out) == (2, "")

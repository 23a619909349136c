"""``fleetdeploy.yml``: what it says, and what is said about a wrong one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fleetdeploy.config.secrets.store import SecretStore
from fleetdeploy.config.settings.load import load_settings
from fleetdeploy.domain.freeze import FreezeWindow
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.settings import News, Recipient, Settings, SyncSettings
from fleetdeploy.errors import InputError
from fleetdeploy.rollout.journal import KEPT_RUNS

WHOLE = """\
freeze:
  - {when: "0 18 * * fri", for: 62h, zone: Europe/Berlin, reason: weekend}
  - {when: "0 0 20 12 *", for: 14d, zone: UTC}
notify:
  - url: !secret {env: HOOK}
    headers: {Authorization: !secret {env: TOKEN}, X-Fleet: prod}
    on: [changed, failed]
    timeout: 3s
    retries: 0
  - command: [./tell, now]
textfile: metrics/fleet.prom
sync: {playbook: playbooks/sync.yml, limit: "gpu:!canary", splay: 30s, max_hosts: 20}
"""


def read(path: Path, text: str, **environ: str) -> Settings:
    (path / "fleetdeploy.yml").write_text(text)
    return load_settings(path, secrets=SecretStore(environ=environ))


def said(path: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(path, text)
    close = re.compile(r"did you mean '[^']+'\?")
    return [
        problem.where.removeprefix(f"{path}/fleetdeploy.yml:")
        + f": {problem.message}"
        + "".join(f" ({found[0]})" for found in close.finditer(problem.hint))
        for problem in caught.value.problems
    ]


def test_the_whole_file(tmp_path: Path) -> None:
    """Every key is read; paths are the project's, ``on`` is a word, secrets stay closed until they are used."""
    found = read(tmp_path, WHOLE, HOOK="https://chat.example.net/hook", TOKEN="Bearer of news")
    assert found.freeze == (
        FreezeWindow("0 18 * * fri", 62 * 3600.0, "Europe/Berlin", "weekend"),
        FreezeWindow("0 0 20 12 *", 14 * 86400.0, "UTC"),
    )
    hook, command = found.notify
    assert isinstance(hook.url, Secret)
    assert hook.url.reveal() == "https://chat.example.net/hook"
    token = hook.headers["Authorization"]
    assert isinstance(token, Secret)
    assert (token.reveal(), hook.headers["X-Fleet"]) == ("Bearer of news", "prod")
    assert (hook.about, hook.timeout_s, hook.retries) == ((News.CHANGED, News.FAILED), 3.0, 0)
    assert (command.command, command.retries) == ((f"{tmp_path}/./tell", "now"), 0)
    assert News.UNCHANGED not in command.about
    assert found.textfile == tmp_path / "metrics/fleet.prom"
    assert found.sync == SyncSettings(tmp_path / "playbooks/sync.yml", "gpu:!canary", 30.0, 20)


@pytest.mark.parametrize(
    ("written", "run"),
    [("[./tell, now]", ("{}/./tell", "now")), ("[bin/tell]", ("{}/bin/tell",)), ("[tell, ./now]", ("tell", "./now")),
     ("[/bin/tell]", ("/bin/tell",))],
)  # fmt: skip
def test_a_command_with_a_path_is_the_projects(tmp_path: Path, written: str, run: tuple[str, ...]) -> None:
    """It lies beside the settings, wherever one types; a bare name is looked for on PATH."""
    (recipient,) = read(tmp_path, f"notify: [{{command: {written}}}]\n").notify
    assert recipient.command == tuple(word.format(tmp_path) for word in run)


def test_only_who_says_so_runs_a_command_again(tmp_path: Path) -> None:
    """A web address is tried twice more; a command may have told somebody before it failed, and is not."""
    text = "notify: [{url: 'http://a/'}, {command: [a]}, {command: [b], retries: 3}]\n"
    assert [item.retries for item in read(tmp_path, text).notify] == [2, 0, 3]


@pytest.mark.parametrize("text", [None, "", "# nothing yet\n", "freeze: []\n"])
def test_nothing_needs_to_be_said(tmp_path: Path, text: str | None) -> None:
    """No file, an empty one and one that says nothing are the same."""
    found = read(tmp_path, text) if text is not None else load_settings(tmp_path)
    assert found == Settings()


def test_all_problems_at_once(tmp_path: Path) -> None:
    """Each with its line and column, and a suggestion for what was misspelt."""
    wrong = """\
freez: []
freeze:
  - {when: "0 18 * * fry", for: 0s, zone: Europe/Berln}
  - {when: "* * *", for: 93d}
notify:
  - {url: chat, command: [x]}
  - {on: [chnged], headers: {Host: x}}
  - {command: [x], headers: {A: b}}
textfile: fleet.txt
sync: {splay: soon, max_hosts: 1.5}
"""
    assert said(tmp_path, wrong) == [
        "3:12: freeze[0].when: '0 18 * * fry' is not a cron expression: bad day-of-week",
        "3:33: freeze[0].for: the window would be over at once",
        "3:43: freeze[0].zone: 'Europe/Berln' is not a time zone (did you mean 'Europe/Berlin'?)",
        "4:12: freeze[1].when: '* * *' is not a cron expression: 3 fields instead of 5",
        "4:26: freeze[1].for: '93d' is not a duration",
        "4:5: freeze[1].zone: missing",
        "6:11: notify[0].url: this is not a web address",
        "7:30: notify[1].headers.Host: 'Host' is a header that is set already",
        "7:11: notify[1].on[0]: 'chnged' is no end of a run (did you mean 'changed'?)",
        "10:15: sync.splay: 'soon' is not a duration",
        "10:32: sync.max_hosts: expected a whole number, got 1.5 (read as a number)",
        "1:1: freez: unknown key (did you mean 'freeze'?)",
        "6:17: notify[0].command: `url` stands here already",
        "7:5: notify[1]: nobody is named",
        "8:20: notify[2].headers: a command has none",
        "9:11: textfile: 'fleet.txt' would never be read",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- freeze\n", "1:1: settings are a mapping, got a list"),
        ("freeze: 3\n", "1:9: freeze: expected a list, got 3"),
        ("freeze: [{fr: 1h}]\n", "1:11: freeze[0].fr: unknown key (did you mean 'for'?)"),
        ("notify: [3]\n", "1:10: notify[0]: expected a mapping, got 3"),
        ("sync: {}\nsync: {}\n", "2:1: the key 'sync' is given twice, first at line 1"),
        ("textfile: !secret {env: X}\n", "1:11: textfile: a secret cannot stand here"),
        ("notify: [{command: [x], true: [failed]}]\n", "1:25: notify[0].true: the key true is read as a boolean"),
    ],
)
def test_what_has_another_shape(tmp_path: Path, text: str, message: str) -> None:
    """A wrong kind of value is refused with its place, and only `on` is taken for the word that YAML 1.1 hides."""
    assert message in said(tmp_path, text)


def test_no_hosts_at_all_is_not_a_limit(tmp_path: Path) -> None:
    """0 is refused as `--max-hosts 0` is, with what stops a timer; without the key there is no limit."""
    for most in ("0", "-1"):
        assert said(tmp_path, f"sync: {{max_hosts: {most}}}") == [
            f"1:19: sync.max_hosts: {most} is not a whole number from 1"
        ]
    with pytest.raises(InputError) as caught:
        read(tmp_path, "sync: {max_hosts: 0}")
    assert "`freeze:`" in caught.value.problems[0].hint
    assert "cron line" in caught.value.problems[0].hint
    assert read(tmp_path, "sync: {max_hosts: 1}").sync.max_hosts == 1
    assert read(tmp_path, "sync: {splay: 1s}").sync.max_hosts == 0


def test_the_readme_says_what_holds_without_a_word_in_the_file() -> None:
    """Every kind of news, those that are told of by default, and the defaults of one try and of more."""
    readme = " ".join((Path(__file__).parents[3] / "README.md").read_text().split())
    known, told = re.findall(r"`on:` knows (.*?); without it people are told of (.*?)\.", readme)[0]
    assert re.findall("`([a-z]+)`", known) == [item.value for item in News]
    assert re.findall("`([a-z]+)`", told) == [item.value for item in Recipient().about]
    assert f"`timeout: {Recipient().timeout_s:g}s`" in readme
    assert f"`retries: {Recipient().retries}`" in readme
    assert f" {KEPT_RUNS} runs are kept" in readme


def test_a_file_of_another_name_is_not_passed_over(tmp_path: Path) -> None:
    """What was meant to freeze the fleet is not left out in silence."""
    (tmp_path / "fleetdeploy.yaml").write_text(WHOLE)
    with pytest.raises(InputError, match="settings are not read from here") as caught:
        load_settings(tmp_path)
    assert caught.value.hint == "name it fleetdeploy.yml"

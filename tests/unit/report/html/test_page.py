"""The whole page: what every kind of run shows, and that nothing a host says is more than text there."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.report.html.page import MARK, is_report, page
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.story.verdict import what_next

from . import scenes

EVIL = (
    "\"'><script>alert(1)</script><img src=x onerror=alert(2)> &amp; \u202etxt.exe\x1b[31m {{ 7*7 }} </style></title>"
)
VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """The elements of a page, each with its attributes; the text of each; whatever does not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def drawn(events: Sequence[Event], **told: object) -> Page:
    return Page(page(RunStory.of(events), **told))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "events",
    [scenes.first_deploy, scenes.rolling, scenes.failing, scenes.all_back, scenes.unfinished, lambda: ()],
    ids=["first", "rolling", "failing", "all back", "unfinished", "nothing"],
)
def test_every_run_makes_a_whole_page(events: object) -> None:
    """Elements nest, ids are there once, and every link leads to one of them."""
    found = drawn(events())  # type: ignore[operator]
    assert (found.wrong, found.open) == ([], [])
    ids = [attrs["id"] for _, attrs in found.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] or "" for tag, attrs in found.elements if tag in {"a", "use"}]
    assert {link for link in links if link[1:] not in ids or not link.startswith("#")} == set()


def test_a_refusal_is_shown_whole() -> None:
    """Every host that was refused and every fix; no host has a link that leads nowhere."""
    refusal = "gpu1: no key\n    ssh-keyscan gpu1\ngpu2: no key\n    ssh-keyscan gpu2\nnothing was touched"
    found = drawn([
        Event(Kind.RUN_STARTED, 0, "r", message="fleetdeploy deploy", data={"hosts": ["gpu1", "gpu2"]}),
        Event(Kind.RUN_FINISHED, 1, "r", message="gpu1: no key", data={"exit_code": 2, "refusal": refusal}),
    ])  # fmt: skip
    assert " ".join(refusal.split()) in found.text()
    links = {attrs["href"] or "" for tag, attrs in found.elements if tag == "a"}
    assert {link[1:] for link in links} <= {attrs.get("id") for _, attrs in found.elements}


def test_what_hosts_say_is_text() -> None:
    """Names, messages, hints and last lines with markup, escapes and reversed writing are shown as they are written."""
    data = {"hint": EVIL, "detail": f"first\n{EVIL}", "state": EVIL, "service": EVIL}

    def told(kind: Kind, time_s: float, task: str = EVIL, **more: object) -> Event:
        return Event(kind, time_s, "r", host=EVIL, task=task, message=EVIL, data={**data, **more})

    found = drawn(
        [
            Event(Kind.RUN_STARTED, 0, EVIL, message=EVIL, data={"hosts": [EVIL], "by": EVIL, "directory": EVIL}),
            Event(Kind.PLAN_MADE, 0, EVIL, data={"changed": [EVIL], "plan": [{"hosts": [EVIL], "lines": [EVIL]}]}),
            Event(Kind.PLAY_STARTED, 1, EVIL, message=EVIL, data={"hosts": [EVIL], "max_unavailable": 1}),
            Event(Kind.WAVE_STARTED, 1, EVIL, message=EVIL, data={"waves": 2, "hosts": [EVIL]}),
            Event(Kind.CAPACITY_CHANGED, 1, EVIL, data={"hosts": 2, "out": [EVIL], "floor": 1}),
            Event(Kind.TRAFFIC_SAMPLED, 3, EVIL, data={"pools": {EVIL: {"requests": 1, "errors": 1}}}),
            told(Kind.STEP_STARTED, 2), told(Kind.STEP_PROGRESS, 2), told(Kind.STEP_FAILED, 3),
            told(Kind.DEBT_MADE, 3), told(Kind.LEASE_LOST, 3), told(Kind.ROLLOUT_STOPPED, 3),
            told(Kind.HOST_FINISHED, 4),
            Event(Kind.RUN_FINISHED, 5, EVIL, message=EVIL, data={"exit_code": 4}),
        ],
        damage=EVIL,
        hint=EVIL,
    )  # fmt: skip
    assert [tag for tag, _ in found.elements if tag in {"img", "script"}] == ["script"]
    assert not [name for _, attrs in found.elements for name in attrs if name.startswith("on")]
    text = found.text()
    assert "<script>alert(1)</script>" in text
    assert "{{ 7*7 }}" in text
    assert "\\u202etxt.exe\\x1b[31m" in text
    attributes = "".join(value or "" for _, attrs in found.elements for value in attrs.values())
    assert not {"\u202e", "\x1b"} & set(text + attributes)


def test_the_page_may_load_nothing() -> None:
    """Its policy allows its own style and script by their hash and nothing else, and no element names another place."""
    text = page(RunStory.of(scenes.failing()))
    found = Page(text)
    (policy,) = (attrs["content"] or "" for _, attrs in found.elements if "http-equiv" in attrs)
    for tag, name in (("style", "style-src"), ("script", "script-src")):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        hashed = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name} 'sha256-{hashed}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert not [attrs for _, attrs in found.elements if "style" in attrs]
    places = [attrs[name] or "" for _, attrs in found.elements for name in ("href", "src", "action") if name in attrs]
    assert {place for place in places if not place.startswith("#")} == {"data:,"}
    assert not re.search(r"https?://|@import|url\((?!#)", text)


def test_a_report_is_told_from_other_files() -> None:
    """Its beginning has our mark, which another page's does not."""
    head = page(RunStory.of(scenes.first_deploy())).encode()[:4096]
    assert is_report(head)
    assert not is_report(b"<!doctype html><title>something else</title>")
    assert not is_report(b"x" * 2000 + MARK.encode())


def test_the_summary_says_how_it_ended() -> None:
    """The verdict, the last line, the command, who gave it where, the exit code, the counts and what to type next."""
    text = drawn(scenes.failing()).text()
    for part in (
        "failed, fleet mixed", "FAILED: gpu2; the fleet is mixed: gpu1 changed", scenes.COMMAND, "ada@deploy1",
        "/srv/models", "Exit code 4", "1 ↩ reverted", "4 – skipped", "Stopped after gpu2:", "once it is mended",
    ):  # fmt: skip
        assert part in text, part


def test_a_failure_has_its_hint_and_last_lines() -> None:
    """The host that failed is unfolded: why, what to do about it, what its server said last, and its way back."""
    found = drawn(scenes.failing())
    unfolded = [
        attrs["data-host"]
        for tag, attrs in found.elements
        if tag == "details" and "open" in attrs and "data-host" in attrs
    ]
    assert unfolded == ["gpu2"]
    text = found.text()
    assert "the version is AVAILABLE but does not compute what was recorded" in text
    assert "the last lines of fleetdeploy-ranking" in text
    assert "undo activate" in text


def test_an_error_stands_once_where_a_host_is_told_of() -> None:
    """Why it failed is not said again above the failure, nor in the list of its steps, which only points at it."""
    text = page(RunStory.of(scenes.failing()))
    (part,) = re.findall(r'<details class="host" id="host-1".*?</details>', text, re.DOTALL)
    assert part.count("to ranker version 2 was answered wrongly") == 1
    assert "failed</b>, as told above" in part
    assert part.count("the version is AVAILABLE but does not compute what was recorded") == 1


@pytest.mark.parametrize("scene", [scenes.failing, scenes.all_back, scenes.unfinished, scenes.rolling])
def test_what_to_type_next_is_what_the_story_says(scene: Callable[[], Sequence[Event]]) -> None:
    """The same as on the terminal, in its order, with what each is for; nothing where nothing is left to do."""
    story = RunStory.of(scene())
    told = what_next(story)
    assert bool(told) is (story.exit_code != 0)
    section = re.search(r'<div class="next">.*?</div>', page(story), re.DOTALL)
    text = html.unescape(section.group()) if section else ""
    assert re.findall(r'<code class="command">(.*?)</code>', text) == [item.command for item in told]
    assert all(item.why in text for item in told)


def test_how_long_it_was_expected_to_take_is_told_as_far_as_it_was_known() -> None:
    """About so long, or at least so long where of some of it nobody knew."""
    events = scenes.failing()
    for at_least, told in ((False, "Expected about "), (True, "Expected at least ")):
        said = [
            replace(event, data={**event.data, "at_least": at_least}) if event.kind is Kind.PLAN_MADE else event
            for event in events
        ]
        assert told in drawn(said).text()


def test_of_a_command_of_ones_own_nothing_is_said_that_only_a_rollout_has() -> None:
    """No capacity, no requests, nothing to change: on how many hosts it ran."""
    events = [
        replace(event, data={**event.data, "own": True}) if event.kind is Kind.RUN_STARTED else event
        for event in scenes.rolling()
    ]
    page, rollout = drawn(events), drawn(scenes.rolling())
    for id_ in ("capacity", "traffic"):
        assert [any(attrs.get("id") == id_ for _, attrs in it.elements) for it in (page, rollout)] == [False, True]
    assert "To change" in rollout.text()
    assert "To change" not in page.text()


def test_what_was_to_change_is_shown_once_for_hosts_alike() -> None:
    """The plan's lines stand there once, marked where something comes or goes, and each host leads to them."""
    found = drawn(scenes.rolling())
    assert sum("versions: 2" in text for text in found.texts) == 1
    kinds = [attrs.get("class") for tag, attrs in found.elements if tag == "span"]
    assert (kinds.count("comes"), kinds.count("goes")) == (1, 1)
    assert sum(attrs.get("href") == "#plan-1" for _, attrs in found.elements) == 20


def test_a_run_without_an_end_says_so() -> None:
    """Who was at work is unfinished, who had still to come waits, and `resume` is what to type."""
    found = drawn(scenes.unfinished())
    text = found.text()
    assert "Nothing tells of its end" in text
    states = {
        attrs["data-host"]: attrs["data-state"] for tag, attrs in found.elements if tag == "tr" and "data-host" in attrs
    }
    assert states == {
        "gpu1": "changed", "gpu2": "changed", "gpu3": "unfinished",
        "gpu4": "waiting", "gpu5": "waiting", "gpu6": "waiting",
    }  # fmt: skip
    assert "nothing tells of its end" in text
    assert f"fleetdeploy resume {scenes.RUN}" in text


def test_damage_is_told_above_everything() -> None:
    """A damaged journal's page says from where on nothing is believed, and takes no end for granted."""
    text = drawn(scenes.failing()[:60], damage="damaged at record 61: no hash", hint="look there", torn=True).text()
    assert "damaged at record 61: no hash" in text
    assert "look there" in text
    assert "end not known" in text
    assert "cut off" in text
    assert "resume" not in text


def test_without_traffic_it_is_said_that_nobody_told() -> None:
    """A run whose balancer told nothing has a sentence in place of charts."""
    assert "No balancer told" in drawn(scenes.failing()).text()
    assert "No balancer told" not in drawn(scenes.rolling()).text()


def test_of_many_hosts_those_in_trouble_come_first() -> None:
    """In the table, where nobody looks through a hundred rows for one; the others follow in their order."""
    events = list(scenes.many())
    failed = Event(Kind.STEP_FAILED, events[-2].time_s, events[0].run, host="gpu42", task="verify", message="no")
    found = drawn([*events[:-1], failed, events[-1]])
    rows = [attrs["data-host"] for tag, attrs in found.elements if tag == "tr" and "data-host" in attrs]
    story = RunStory.of(events)
    assert rows == ["gpu42", *(name for name in story.hosts if name != "gpu42")]


def test_many_hosts_without_trouble_are_folded_together() -> None:
    """Of a hundred hosts those that went well are one fold, and the page stays below a megabyte."""
    text = page(RunStory.of(scenes.many()))
    assert "100 hosts without trouble" in text
    assert len(text) < 1_000_000

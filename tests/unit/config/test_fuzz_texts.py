"""Bytes and half-right texts for every reader: what comes out is a result or an error of ours, never another one."""

# ruff: noqa: E501  rows of words
from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetdeploy.config.inventory.ranges import MOST_HOSTS, expand
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.config.playbook.selection import Selection, narrowed
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.errors import FleetdeployError

from .limits import within_limits
from .nasty_inputs import READERS

QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
PIECES = {
    "yaml": ("all:", "\n", " ", "  ", "\t", "hosts:", "vars:", "children:", "h1:", "'h[1:3]': ", "- ", "? ", "{", "}", "[", "]",
             ", ", ": ", "&a ", "*a", "<<: ", "!vault ", "!secret ", "!!int ", "|\n", "'", '"', "# ", "---\n", "\u2028", "x", "1",
             "{env: T}", "\r\n", "%YAML 1.2\n", "services: ", "gpus: ", "ansible_host: ", '"{{ n }}"', "'{{ x | upper }}'",
             "$ANSIBLE_VAULT;1.1;AES256\n", "1_0", "0x1f", "2026-01-01", "\ufeff", "\0", "é"),
    "ini": ("[web]", "[web:vars]", "[web:children]", "[all:vars]", "\n", " ", "\t", "h1", "h[1:3]", "h1:22", "x=1", "x=", "=",
            "'", '"', "\\", "#", ";", "[", "]", ":", "{'a': 1}", "(1,", "[1, 2]", "{1}", "b'x'", "1j", "db", "\r\n", "\0", "::1",
            "ansible_port=", "ansible_group_priority=", "é", "\u2028", "{{ n }}"),
    "program": ("{", "}", "[", "]", '"', ":", ",", '"web"', '"hosts"', '"vars"', '"children"', '"_meta"', '"hostvars"', '"h1"',
                '"__ansible_vault"', "1", "-", ".", "e9", "null", "true", "NaN", '"\\ud800"', " ", "\n", "\0", '{"hosts": ["h1"]}'),
    "playbook": ("- ", "\n", "  ", "hosts: all\n", "tasks: ", "[drain]", "drain: ", "include_tasks: ", "import_playbook: ",
                 "book.yml", "when: ", "n == 1", "tags: ", "block:", "rescue: ", "always: ", "serial: ", "50%", "name: ", "x",
                 "{", "}", "[", "]", ", ", "vars: ", "'{{ x }}'", "1", "null", "order: shuffle", "seed: ", "run: ", "argv"),
    "condition": ("n", "text", "list", "missing", " ", "==", "!=", "<", "and ", "or ", "not ", "in ", "is ", "defined", "(", ")",
                  "[", "]", "{", "}", ",", ":", ".", "|", "upper", "default", "join", "1", "'x'", "-", "*", "**", "~", "%", "if ",
                  "else ", "0", "#", "{{", "%}", "\n", "__class__", "é", "'\\ud800'", "1e999", "0xff", "none", "true"),
    "template": ("{{ ", " }}", "{% ", " %}", "{# ", " #}", "n", "text", "list", "for x in list", "endfor", "if n", "endif", "set x = ",
                 "macro m(a)", "endmacro", "m(1)", "include 't.j2'", "block b", "endblock", "self.b()", " | ", "upper", "pbtxt",
                 "join", "sort", "map('upper')", "'x'", "1", "~", "+", "*", "(", ")", "[", "]", "\n", "-", "call m()", "endcall",
                 "raw", "endraw", "loop", "caller()", "filter upper", "endfilter", "x", "extends 't.j2'", "import 't.j2' as t"),
    "pattern": ("web", "db", "all", "h1", "h*", ":", ",", "!", "&", "~", "[", "]", "0", "-", "1", "(", ")", "*", "?", "@", "list",
                "gpu:", "memory", ">=", "40GiB", " ", "\\", "{", "}", "|", "é", "\n", "^", "$", "+", "(?i)"),
    "extra": ("a", "=", "1", " ", "'", '"', "{", "}", "[", "]", ":", ",", "@", "!secret ", "{env: T}", "\\", "{{ x }}", "\n", "é"),
}  # fmt: skip
PIECES["variables"] = PIECES["json"] = PIECES["yaml"]
PIECES["unnamed"] = (*PIECES["ini"], *PIECES["yaml"])


def outcome(kind: str, content: bytes) -> object:
    """What a reader gives, or None where it refuses; either within the limits."""
    return within_limits(lambda: _outcome(kind, content))


def _outcome(kind: str, content: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return READERS[kind](Path(folder), content)
        except FleetdeployError as error:
            assert str(error)  # noqa: PT017  both ends of the property
            return None


@pytest.mark.parametrize("kind", sorted(PIECES))
def test_any_pieces(kind: str) -> None:
    """Pieces of the right language in any order."""

    @QUICK
    @given(st.lists(st.sampled_from(PIECES[kind]), max_size=40))
    def check(pieces: list[str]) -> None:
        outcome(kind, "".join(pieces).encode("utf-8", "surrogatepass"))

    check()


@pytest.mark.parametrize("kind", sorted(PIECES))
def test_any_bytes(kind: str) -> None:
    """Any bytes, and any text."""

    @QUICK
    @given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
    def check(content: bytes) -> None:
        outcome(kind, content)

    check()


VALID = {
    "yaml": b"all: {hosts: {h1: {x: 1}, 'h[2:3]': }, children: {web: {hosts: {h1: }, vars: {y: '{{ x }}'}}}}\n",
    "ini": b"h1 x=1\n[web]\nh[1:3] y='a b'\n[web:vars]\nz={'a': 1}\n[all:children]\nweb\n",
    "program": b'{"web": {"hosts": ["h1"], "vars": {"x": 1}}, "_meta": {"hostvars": {"h1": {"y": [1, null]}}}}',
    "variables": b"a: !secret {env: T}\nb: &b [1, 2]\nc: *b\nansible_host: \"{{ d ~ 'x' }}\"\nd: x\ne: \xc3\xa9\n",
    "playbook": b"- hosts: all\n  serial: [1, 50%]\n  tasks:\n  - drain\n  - {verify: , when: n == 1, tags: [a]}\n",
    "condition": b"n == 1 and text | length > 1 and not (missing is defined)",
    "template": b"{% for x in list if x > 1 %}{{ x }}{% set y = x * 2 %}{{ y | pbtxt }}{% endfor %}{# x #}{{ text[:3] }}",
    "pattern": b"web:&h1:!h2",
    "extra": b'{"a": [1, {"b": null}], "c": "{{ a }}"}',
}


@pytest.mark.parametrize("kind", sorted(VALID))
def test_right_inputs_with_something_changed(kind: str) -> None:
    """An input that is right is read; with any of its bytes cut out, doubled or replaced it is read or refused."""

    @QUICK
    @given(st.data())
    def check(data: st.DataObject) -> None:
        content = VALID[kind]
        for _ in range(data.draw(st.integers(1, 3))):
            start = data.draw(st.integers(0, len(content)))
            end = data.draw(st.integers(start, min(start + 8, len(content))))
            middle = data.draw(st.binary(max_size=4) | st.just(content[start:end] * 2))
            content = content[:start] + middle + content[end:]
        outcome(kind, content)

    assert outcome(kind, VALID[kind]) is not None or kind == "playbook"
    check()


@QUICK
@given(st.text(alphabet="h[]:0129azAZé٣-.,", max_size=24))
def test_any_range(text: str) -> None:
    """A name with anything like a range stands for a bearable number of hosts, or is refused."""
    try:
        names, port = expand(text)
    except Refused as error:
        assert str(error)  # noqa: PT017  both ends of the property
        return
    assert 1 <= len(names) <= MOST_HOSTS
    assert port is None or 1 <= port <= 65535


WORDS = st.lists(
    st.sampled_from(["a", "b", "all", "tagged", "untagged", "always", "never", "", "é", "x" * 99]), max_size=3
)


@QUICK
@given(WORDS, WORDS, WORDS, WORDS, st.sampled_from(["", "drain", "dr*", "[", "verify", "nothing"]))
def test_any_selection(own: list[str], other: list[str], tags: list[str], skip: list[str], start: str) -> None:
    """Whatever tags the tasks have and are asked for, some task is left, or the selection is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "book.yml"
        path.write_text(f"- {{hosts: all, tags: {own}, tasks: [{{drain: , tags: {other}}}, {{verify: }}]}}\n")
        try:
            book = load_playbook(path, task_names=("drain", "verify"))
            assert narrowed(book, Selection(tuple(tags), tuple(skip), start)).plays
        except FleetdeployError as error:
            assert str(error)  # noqa: PT017  both ends of the property

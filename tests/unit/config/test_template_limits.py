"""A template takes a bounded amount of work and memory, whatever is written in it."""

from __future__ import annotations

import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from fleetdeploy.config.inventory.lazy import LazyVariables
from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.config.playbook.conditions import ConditionReader
from fleetdeploy.config.sandbox import budget
from fleetdeploy.config.sandbox.budget import Total
from fleetdeploy.config.sandbox.environment import CountingSandbox
from fleetdeploy.config.templates import TemplateSet
from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.playbook import When
from fleetdeploy.errors import InputError

STEPS = "more than 1,000,000 steps of work"
TEXT = "a text of more than 1,048,576 characters"
ITEMS = "a value of more than 100,000 items"
DEEP = "nested too deeply, or without end"
NESTED = "{% for a in range(99999) %}{% for b in range(99999) %}"
LISTS = "{% set a = range(9999) | list %}{% set b = range(9999) | list %}{% for i in range(99999) %}"
BOMBS = {
    "loops in loops": (NESTED + "{% endfor %}{% endfor %}", STEPS),
    "a long body": ("{% set x %}{% for a in range(99999) %}" + "lorem " * 9999 + "{% endfor %}{% endset %}", STEPS),
    "many branches": ("{% for a in range(99999) %}" + "{% if a %}x{% endif %}" * 900 + "{% endfor %}", STEPS),
    "a loop that leaves all out": ("{% for a in range(99999) if " + "a and " * 90 + "false %}{% endfor %}", STEPS),
    "loops that call themselves": (
        "{% for i in [range(900) | list] * 90 recursive %}{{ loop([i] * 9) if i is iterable }}{% endfor %}",
        STEPS,
    ),
    "doubling a text": ("{% set x = 'ab' %}" + "{% set x = x ~ x %}" * 60, TEXT),
    "adding a text": ("{% set x = 'ab' %}" + "{% set x = x + x %}" * 60, TEXT),
    "capturing a text": (
        "{% set x = 'é' * 1000000 %}{% set y %}{% for i in range(999) %}{{ x }}{% endfor %}{% endset %}",
        STEPS,
    ),
    "many texts": ("{% set x = 'é' * 1000000 %}" + "{% set y = x ~ 'b' %}" * 400, STEPS),
    "doubling a list": ("{% set x = [1] %}" + "{% set x = x + x %}" * 60, ITEMS),
    "a list of itself": ("{% set x = [1] %}" + "{% set x = [x, x] %}" * 60 + "{{ x | string }}", ITEMS),
    "a tuple of itself": ("{% set x = (1,) %}" + "{% set x = (x, x) %}" * 60 + "{{ x in {} }}", ITEMS),
    "a key of itself": ("{% set x = (1,) %}" + "{% set x = (x, x) %}" * 60 + "{% set y = {x: 1} %}", ITEMS),
    "a mapping of itself": ("{% set x = {} %}" + "{% set x = {1: x, 2: x} %}" * 60, ITEMS),
    "dict() of itself": ("{% set x = {} %}" + "{% set x = dict(a=x, b=x) %}" * 60, ITEMS),
    "a list times a number": ("{{ [range(99999) | list] * 99999 }}", ITEMS),
    "squaring": ("{% set x = 10 %}" + "{% set x = x * x %}" * 60, "a number of more than 300 digits"),
    "a power": ("{{ 2 ** 999999999 }}", "a power beyond 1000"),
    "a macro that calls itself": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", DEEP),
    "a macro that calls itself twice": (
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        STEPS,
    ),
    "calls in calls": (
        "{% macro f() %}{{ caller() * 2 }}{{ caller() }}{% endmacro %}" + "{% call f() %}" * 30 + "{% endcall %}" * 30,
        STEPS,
    ),
    "blocks in blocks": (
        "".join(
            f"{{% block b{n} %}}{{{{ self.b{n + 1}() * 2 }}}}{{{{ self.b{n + 1}() }}}}{{% endblock %}}"
            for n in range(30)
        )
        + "{% block b30 %}{% endblock %}",
        STEPS,
    ),
    "a macro's defaults": (
        "{% macro f(n, m=" + "n and " * 90 + "n) %}{% endmacro %}{% for i in range(99999) %}{{ f(i) }}{% endfor %}",
        STEPS,
    ),
    "a huge range": ("{{ range(10 ** 12) | list }}", "Range too big"),
    "lists in a loop": ("{% for a in range(99999) %}{% set b = range(99999) | list %}{% endfor %}", STEPS),
    "sorting": ("{% for a in range(999) %}{{ range(99999) | reverse | sort | first }}{% endfor %}", STEPS),
    "sorting a text": ("{{ ('x' * 1000000) | sort }}", ITEMS),
    "grouping": ("{% for a in range(999) %}{{ range(9999) | groupby('real') | length }}{% endfor %}", STEPS),
    "comparing": (LISTS + "{% if a == b %}{% endif %}{% endfor %}", STEPS),
    "looking for": (LISTS + "{% if 'x' in a %}{% endif %}{% endfor %}", STEPS),
    "counting in a text": (
        "{% set x = 'a' * 1000000 %}{% for i in range(99999) %}{% set y = x.count('ab') %}{% endfor %}",
        STEPS,
    ),
    "a filter for each": (LISTS + "{% set c = ([a] * 9) | map('sum') | list %}{% endfor %}", STEPS),
    "a test for each": (LISTS + "{% set c = ([a] * 9) | select('in', a) | list %}{% endfor %}", STEPS),
    "attributes for each": (
        "{% for i in range(999) %}{% set b = ['a'] | map(attribute=('0.' * 9999) ~ '0') | list %}{% endfor %}",
        STEPS,
    ),
    "slicing": ("{% set a = range(99999) | list %}" + "{% set b = a[1:] %}" * 99, STEPS),
    "replacing": ("{% set x = 'a' * 9999 %}{{ x | replace('a', x) }}", TEXT),
    "replacing nothing": ("{% set x = 'a' * 9999 %}{{ x | replace('', x) }}", TEXT),
    "replacing by method": ("{% set x = 'a' * 9999 %}{{ x.replace('a', x) }}", TEXT),
    "joining": ("{{ range(9999) | join('a' * 9999) }}", TEXT),
    "joining itself": ("{% set x = 'a' * 999 %}{{ ([x] * 1200) | join }}", TEXT),
    "joining by method": ("{% set x = 'a' * 9999 %}{{ x.join(['a'] * 9999) }}", TEXT),
    "indenting": ("{{ ('a\n' * 9999) | indent(9999) }}", TEXT),
    "indenting by a text": ("{{ ('a\n' * 9999) | indent('x' * 9999) }}", TEXT),
    "batching": ("{{ [1] | batch(10 ** 9, 'x') | list }}", ITEMS),
    "slices": ("{{ [1] | slice(10 ** 9) | list }}", ITEMS),
    "the items of a text": ("{{ ('é' * 1000000) | list }}", ITEMS),
    "splitting": ("{{ ('a ' * 500000).split() }}", ITEMS),
    "rounding": ("{{ 5 | round(-10 ** 9) }}", "rounding to more than 20 digits"),
    "a number of many digits": ("{{ ('1' * 1000000) | int }}", "a number of more than 1000 characters"),
    "summing lists": ("{{ ([[1]] * 30000) | sum(start=[]) }}", "`sum` is for numbers"),
    "bytes": ("{{ (1).to_bytes(10 ** 10, 'big') }}", "'to_bytes' of 'int' object is unsafe"),
    "padding": ("{{ 'a'.ljust(10 ** 10) }}", "'ljust' of 'str' object is unsafe"),
    "formatting": ("{{ '{:9999999999}'.format(1) }}", "'format' of 'str' object is unsafe"),
    "tabs": ("{{ ('\t' * 99999).expandtabs(99999) }}", "'expandtabs' of 'str' object is unsafe"),
    "brackets": ("{{ " + "[" * 9999 + "]" * 9999 + " }}", DEEP),
    "a long sum": ("{{ 1" + "+1" * 9999 + " }}", DEEP),
    "branches in branches": ("{% if 1 %}" * 2000 + "{% endif %}" * 2000, DEEP),
    "a long chain of branches": ("{% if 0 %}" + "{% elif 0 %}" * 9000 + "{% endif %}", DEEP),
    "including itself": ("{% include 't.j2' %}", DEEP),
    "importing itself": ("{% import 't.j2' as t %}", DEEP),
    "extending itself": ("{% extends 't.j2' %}", DEEP),
    "much output": (
        "{% for a in range(99999) %}lorem ipsum dolor{% endfor %}",
        "a rendered text of more than 1,048,576 ",
    ),
    "a long template": ("x" * 200_000, "the template is larger than the limit of 131072 bytes"),
}


def rendered(folder: Path, text: str) -> str:
    (folder / "t.j2").write_text(text)
    return TemplateSet(folder).render("t.j2", {"n": 1})


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str, tmp_path: Path) -> None:
    """What would take hours or gigabytes is refused, with the template's place and the limit that it met."""
    text, words = BOMBS[name]
    with pytest.raises(InputError) as caught:
        rendered(tmp_path, text)
    assert words in caught.value.message
    assert caught.value.where.startswith(str(tmp_path / "t.j2"))
    assert caught.value.hint


@pytest.mark.parametrize("name", ["many texts", "capturing a text", "lists in a loop", "a long body", "sorting"])
def test_memory(name: str, tmp_path: Path) -> None:
    """What a template can keep before it is stopped stays within the limit."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            rendered(tmp_path, BOMBS[name][0])
        assert tracemalloc.get_traced_memory()[1] < 160 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_templates_that_include_others_twice(tmp_path: Path) -> None:
    """Thirty small templates that each include the next one twice are stopped as one rendering."""
    for number in range(30):
        include = f"{{% include 't{number + 1}.j2' %}}"
        (tmp_path / f"t{number}.j2").write_text(include * 2)
    (tmp_path / "t30.j2").write_text("x")
    with pytest.raises(InputError, match=STEPS):
        TemplateSet(tmp_path).render("t0.j2", {})


def test_the_place_of_what_is_too_much(tmp_path: Path) -> None:
    """The error names the line of the template that goes on, and not the one that includes it."""
    (tmp_path / "inner.j2").write_text(
        "\n\n{% for a in range(99999) %}{% for b in range(99) %}{% endfor %}{% endfor %}"
    )
    with pytest.raises(InputError, match=STEPS) as caught:
        rendered(tmp_path, "{% include 'inner.j2' %}")
    assert caught.value.where == f"{tmp_path}/inner.j2:3"


def test_a_large_template_is_fine(tmp_path: Path) -> None:
    """A service of 2,000 models, far beyond any real one, stays within the limits; and each rendering has its own."""
    project = Path(__file__).parents[3]
    models = [
        {"name": f"m{n}", "base_path": f"/models/m{n}", "versions": [1, 2], "labels": {"a": 1, "b": 2}}
        for n in range(2000)
    ]
    templates = TemplateSet(project / "templates")
    for _ in range(6):
        assert templates.render("model.config.j2", {"service": "s", "models": models}).count("name:") == 2000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ 'a b c'.split() | join('-') }} {{ 'x'.upper() }} {{ ', '.join(['a', 'b']) }}", "a-b-c X a, b"),
        ("{{ 'a.b'.replace('.', '-') }} {{ 'aXb' | replace('X', 'YY') }} {{ 'ab'.startswith('a') }}", "a-b aYYb true"),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %} {{ {'a': 7}.get('a') }}", "a1 7"),
        ("{% for x in [1, 2, 3] if x is odd %}{{ loop.index }}{{ x }}{{ ',' if not loop.last }}{% endfor %}", "11,23"),
        ("{% for x in [[1, [2]]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}", "12"),
        ("{% macro m(a, b=2) %}{{ a + b }}{% endmacro %}{{ m(1) }}{{ m(1, b=5) }}", "36"),
        ("{% set ns = [3, 1, 2] | sort %}{{ ns[1:] | length }}{{ ns | first }}{{ [1, 2] == [1, 2] }}", "21true"),
        ("{{ [1, 2, 3] | map('string') | select('in', ['1', '3']) | join }}", "13"),
        ("{{ [{'a': 1}, {'a': 2}] | map(attribute='a') | sum }}", "3"),
        ("{{ [1, 2, 3] | batch(2) | map('length') | join }}", "21"),
        ("{{ 1 if 2 < 3 <= 3 and 4 not in [5] else 0 }}", "1"),
        ("{{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 8 }} {{ -(1) }}", "3 3 256 -1"),
        ("{{ missing is defined }} {{ missing | default('x') }}", "false x"),
        ("{{ (1, 'a') | last }} {{ 3.7 | round | int }}", "a 4"),
        ("{% filter upper %}ab{% endfilter %}{% with x = 3 %}{{ x }}{% endwith %}", "AB3"),
        ("{% macro w() %}<{{ caller(2) }}>{% endmacro %}{% call(n) w() %}{{ n }}{% endcall %}", "<2>"),
    ],
)
def test_what_templates_can_do(text: str, expected: str, tmp_path: Path) -> None:
    """Counting changes nothing about what templates give."""
    assert rendered(tmp_path, text) == expected


def test_renderings_in_threads_have_budgets_of_their_own() -> None:
    """What one thread spends is not taken from another one, and a rendering inside a rendering shares what is left."""
    left = []

    def other() -> None:
        with budget.rendering():
            left.append(budget.spend(budget.STEPS))

    with budget.rendering():
        budget.spend(budget.STEPS - 10)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        with budget.rendering(), pytest.raises(budget.TooMuch):
            budget.spend(11)
    assert left == [True]


def test_nothing_is_evaluated_without_a_budget() -> None:
    """An evaluation that somebody forgot to bound fails at once."""
    with pytest.raises(LookupError):
        CountingSandbox(["upper"]).compile_expression("x | upper")(x="a")


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("{{ big | replace('', big) | replace('', big) }}", TEXT),
        ("{{ " + " ~ ".join(["big"] * 150) + " }}", TEXT),
        ("{{ " + " + ".join(["big"] * 150) + " }}", "steps of work"),
        ("{{ many | join(big) }}", TEXT),
        ("{{ many | sum(start=[]) }}", "`sum` is for numbers"),
        ("{{ digits | int }}", "a number of more than 1000 characters"),
        ("{{ 5 | round(99999999) }}", "rounding to more than 20 digits"),
        ("{{ [[big] + many, [big] + many] }}", "more than 8192 characters or items"),
    ],
)
def test_expressions_of_inventories(expression: str, words: str, tmp_path: Path) -> None:
    """Expressions of inventories have the same limits, and are refused at their place."""
    file = tmp_path / "hosts.yml"
    values = f"big: '{'a' * 8000}', many: {list(range(3000))}, digits: '{'9' * 5000}'"
    file.write_text(f'web: {{hosts: {{h1: }}, vars: {{ansible_host: "{expression}", {values}}}}}\n')
    with pytest.raises(InputError) as caught:
        load_inventory([file])
    (problem,) = caught.value.problems
    assert words in problem.message
    assert problem.where.startswith(f"{file}:1:")


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("(big | replace('', big) | replace('', big)) == ''", TEXT),
        ("'x' in " + " ~ ".join(["big"] * 150), TEXT),
        ("many | join(big) == ''", TEXT),
    ],
)
def test_conditions(condition: str, words: str) -> None:
    """Conditions have the same limits."""
    host = Host("h1", Connection("h1"), {"big": "a" * 8000, "many": list(range(3000))})
    with pytest.raises(InputError, match=words):
        ConditionReader().holds(When(condition), host)


def test_a_command_has_a_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expression that one host can afford, and thousands cannot, is told once; what is cheap goes on."""
    monkeypatch.setattr(budget, "ORDINARY", 100)
    total = budget.Total(5000)
    for _ in range(1000):
        with budget.rendering(total):
            budget.spend(100)
    for _ in range(5):
        with budget.rendering(total):
            budget.spend(1100)
    with pytest.raises(budget.TooMuch, match="for all hosts together"), budget.rendering(total):
        budget.spend(101)
    with budget.rendering(total):
        budget.spend(100)
    with budget.rendering(), budget.rendering(total):
        budget.spend(9999)


@pytest.mark.parametrize("steps", [0, 400])
def test_an_expression_that_takes_too_much_is_tried_no_more(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one problem, on all of the hosts, however many there are, and is not computed for each."""
    asked: list[str] = []
    computed = LazyVariables._computed

    def counting(self: LazyVariables, host: str, *rest: Any) -> object:
        asked.append(host)
        return computed(self, host, *rest)

    monkeypatch.setattr(LazyVariables, "_computed", counting)
    monkeypatch.setattr(budget, "STEPS", 500)
    monkeypatch.setattr(budget, "ORDINARY", 0)
    monkeypatch.setattr(Total, "__init__", lambda self: setattr(self, "left", steps or 10**6))
    file = tmp_path / "hosts.yml"
    hosts = "".join(f"    h{number}: {{}}\n" for number in range(20))
    many = "[" + ",".join(map(str, range(90 if steps else 900))) + "]"
    expression = "{{ inventory_hostname }}{{ many | length }}"
    file.write_text(f'all:\n  vars: {{many: {many}, ansible_host: "{expression}"}}\n  hosts:\n{hosts}')
    with pytest.raises(InputError) as caught:
        load_inventory([file])
    (problem,) = caught.value.problems
    assert "takes too much" in problem.message
    assert ("for all hosts together" in problem.message) == bool(steps)
    assert len(asked) < 10
    assert problem.where.startswith(f"{file}:2:")


def test_templates_have_a_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template that takes long is rendered for a few hosts, and not for a thousand."""
    monkeypatch.setattr(budget, "ORDINARY", 100)
    monkeypatch.setattr(Total, "__init__", lambda self: setattr(self, "left", 2000))
    (tmp_path / "t").write_text("{% for i in range(100) %}{{ i }}{% endfor %}")
    templates = TemplateSet(tmp_path)
    before = templates.render("t", {})
    with pytest.raises(InputError, match="for all hosts together") as caught:
        [templates.render("t", {}) for _ in range(100)]
    assert before.startswith("0123")
    assert caught.value.where.startswith(f"{tmp_path}/t:1")


def test_conditions_have_a_total_before_contact(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long is asked of a few hosts; in a run, with facts, a condition is answered whatever others took."""
    monkeypatch.setattr(budget, "ORDINARY", 100)
    monkeypatch.setattr(Total, "__init__", lambda self: setattr(self, "left", 2000))
    reader = ConditionReader()
    host = Host("gpu1", Connection("gpu1"), {"many": list(range(100))})
    long = When("many | sort | length == 100")
    assert reader.holds(long, host)
    with pytest.raises(InputError, match="for all hosts together"):
        all(reader.holds(long, host) for _ in range(1000))
    assert reader.holds(long, host, facts={})

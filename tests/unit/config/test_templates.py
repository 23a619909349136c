"""Templates: escaping, confinement, strictness."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetdeploy.config.secrets.for_templates import for_templates
from fleetdeploy.config.templates import TemplateSet, escape, pbtxt
from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.domain.templated import Templated
from fleetdeploy.errors import InputError
from fleetdeploy.tfserving import stubs

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def templates(tmp_path: Path) -> TemplateSet:
    directory = tmp_path / "templates"
    directory.mkdir()
    return TemplateSet(directory)


def write(templates: TemplateSet, text: str, name: str = "t.j2") -> str:
    (templates.directory / name).write_text(text)
    return name


HOSTILE = st.text(alphabet=st.characters(codec="utf-8"), max_size=30) | st.text(alphabet="\"'\\\n}{:nx0 ", max_size=12)


@settings(deadline=None)
@given(HOSTILE)
def test_no_value_breaks_out_of_its_string(value: str) -> None:
    """Whatever text a value holds, the protobuf parser reads back that text and nothing else."""
    for quote in "\"'":
        config = stubs.model_server_config_pb2.ModelServerConfig()
        text_format.Parse(f"model_config_list {{ config {{ name: {quote}{escape(value)}{quote} }} }}", config)
        assert [item.name for item in config.model_config_list.config] == [value]


def test_values_are_escaped(templates: TemplateSet) -> None:
    """Every expression is escaped, computed ones and those of macros included; the filter adds the quotes."""
    context = {"v": 'a"b\\', "n": 7, "t": True}
    for text, expected in (
        ('"{{ v }}"', r'"a\"b\\"'),
        ('"{{ v ~ v }}"', r'"a\"b\\a\"b\\"'),
        ("{{ v | pbtxt }}", r'"a\"b\\"'),
        ('"{{ (v | pbtxt) ~ v }}"', r'"\"a\\\"b\\\\\"a\"b\\"'),
        ("{{ n }} {{ t }} {{ n | pbtxt }}", "7 true 7"),
        ("{% for c in v %}{{ c }}{% endfor %}", r"a\"b\\"),
        ("{% set x %}{{ v }}{% endset %}{{ x }}", r"a\\\"b\\\\"),
        ("{% if v == 'a\"b\\\\' %}same{% endif %}", "same"),
    ):
        assert templates.render(write(templates, text, f"t{abs(hash(text))}.j2"), context) == expected


def test_values_are_not_rendered_again(templates: TemplateSet) -> None:
    """A value that looks like a template comes out as that text."""
    assert templates.render(write(templates, "{{ v }}"), {"v": "{{ 7 * 7 }}{% include 'x' %}"}) == (
        r"{{ 7 * 7 }}{% include \'x\' %}"
    )


def test_pbtxt_of_numbers() -> None:
    """Numbers and booleans stand bare."""
    assert (pbtxt(7), pbtxt(True), pbtxt("x")) == ("7", "true", '"x"')


def test_link_out_of_the_directory(templates: TemplateSet) -> None:
    """A link that leads out of the templates directory is not followed; one that stays inside is."""
    outside = templates.directory.parent / "secret"
    outside.write_text("secret")
    (templates.directory / "out.j2").symlink_to(outside)
    (templates.directory / "folder").symlink_to(templates.directory.parent)
    write(templates, "inside", "real.j2")
    (templates.directory / "in.j2").symlink_to("real.j2")
    assert templates.render("in.j2", {}) == "inside"
    for name in ("out.j2", "folder/secret"):
        with pytest.raises(InputError, match="is a link to outside the templates directory"):
            templates.render(name, {})


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "a\\..\\x", "./x", "a//b", "", "a\0b"])
def test_path_out_of_the_directory(name: str, templates: TemplateSet) -> None:
    """A template's name cannot lead out of the templates directory."""
    with pytest.raises(InputError, match="outside the templates directory"):
        templates.render(name, {})


def test_missing_template(templates: TemplateSet) -> None:
    """A missing template is refused with the nearest name."""
    write(templates, "x", "model.config.j2")
    with pytest.raises(InputError, match=r"no such template: 'modle\.config\.j2'") as caught:
        templates.render("modle.config.j2", {})
    assert "did you mean 'model.config.j2'?" in caught.value.hint
    assert caught.value.where == str(templates.directory)


def test_include(templates: TemplateSet) -> None:
    """A template may include another one; an error in it is placed there."""
    write(templates, "one {% include 'b.j2' %}", "a.j2")
    write(templates, "\n{{ missing }}", "b.j2")
    assert templates.render("a.j2", {"missing": "two"}) == "one \ntwo"
    with pytest.raises(InputError) as caught:
        templates.render("a.j2", {})
    assert caught.value.where == f"{templates.directory / 'b.j2'}:2"


def test_template_that_is_no_text(templates: TemplateSet) -> None:
    """A template that cannot be read as text is refused."""
    (templates.directory / "bad.j2").write_bytes(b"\xff")
    with pytest.raises(InputError, match="the template is not UTF-8"):
        templates.render("bad.j2", {})


def test_the_context_is_left_alone(templates: TemplateSet) -> None:
    """Rendering changes nothing in the variables it is given."""
    context = {"models": [{"name": "a"}]}
    write(templates, "{% set models = [] %}{% set x = 1 %}done")
    assert templates.render("t.j2", context) == "done"
    assert context == {"models": [{"name": "a"}]}


def test_model_config() -> None:
    """The template that is shipped renders a ModelServerConfig with explicit versions and labels."""
    models = [
        {"name": "ranker", "base_path": "/models/ranker", "versions": [7, 8], "labels": {"stable": 7, "canary": 8}},
        {"name": "embedder", "base_path": "/models/embedder", "versions": [1], "labels": {}},
    ]
    text = TemplateSet(PROJECT / "templates").render("model.config.j2", {"service": "s", "models": models, "host": {}})
    config = text_format.Parse(text, stubs.model_server_config_pb2.ModelServerConfig())
    first, second = config.model_config_list.config
    assert (first.name, first.base_path, first.model_platform) == ("ranker", "/models/ranker", "tensorflow")
    assert list(first.model_version_policy.specific.versions) == [7, 8]
    assert dict(first.version_labels) == {"stable": 7, "canary": 8}
    assert (second.name, dict(second.version_labels)) == ("embedder", {})


def test_model_config_without_models() -> None:
    """Without models the shipped template still renders a list, which a server can be reloaded from."""
    text = TemplateSet(PROJECT / "templates").render("model.config.j2", {"service": "s", "models": [], "host": {}})
    config = text_format.Parse(text, stubs.model_server_config_pb2.ModelServerConfig())
    assert config.WhichOneof("config") == "model_config_list"


LINES = """\
{# a comment
   of two lines #}
list {
{% for model in models %}
  {%- if model.odd %}
  odd {
    name: "{{ model.name }}" end
  }
  {% endif %}
  even
{% endfor %}
{% include "part.j2" %}
{% block last %}
  last
{% endblock %}
}
"""


@pytest.mark.parametrize(
    ("word", "file", "line"),
    [
        ("list", "t.j2", 3),
        ("odd", "t.j2", 6),
        ("name:", "t.j2", 7),
        ("ONE", "t.j2", 7),
        ("TWO", "t.j2", 7),
        ("end", "t.j2", 7),
        ("even", "t.j2", 10),
        ("inner", "part.j2", 3),
        ("value", "part.j2", 2),
        ("last", "t.j2", 14),
        ("}\n", "t.j2", 8),
    ],
)
def test_a_place_of_the_text_is_a_line_of_a_template(templates: TemplateSet, word: str, file: str, line: int) -> None:
    """Each part of what a template gives is led back to the line that it stands on, in included templates as well."""
    write(templates, LINES)
    write(templates, "\n{{ given }}\ninner\n", "part.j2")
    models = [{"odd": False}, {"odd": True, "name": "ONE"}, {"odd": False}, {"odd": True, "name": "TWO"}]
    context = {"models": models, "given": "value"}
    before = templates.render("t.j2", context).partition(word)[0]
    assert word in templates.render("t.j2", context)
    place = templates.place_in("t.j2", context, before.count("\n") + 1, len(before) - before.rfind("\n"))
    assert place == f"{templates.directory / file}:{line}"


def test_a_place_beyond_the_text_is_the_template(templates: TemplateSet) -> None:
    """What a parser says of the end of the text leads to the last line, and to none that is not there."""
    write(templates, "one\ntwo")
    assert templates.place_in("t.j2", {}, 9, 1) == templates.place_of("t.j2")
    assert templates.place_in("t.j2", {}, 2, 4) == f"{templates.directory / 't.j2'}:2"
    write(templates, "", "empty.j2")
    assert templates.place_in("empty.j2", {}, 1, 1) == templates.place_of("empty.j2")


def test_what_is_missing_in_a_host_is_named(templates: TemplateSet) -> None:
    """An undefined variable of a host is told with the template's line and the nearest name, not in Python's words."""
    host = for_templates({"rack": "r1", "db": {"port": 1}, "own": Templated("{{ x }}", lambda: {"a": 1})}, Redactor())
    for text, message, hint in (
        ("\n{{ host.rak }}", "undefined variable: host has no 'rak'", "did you mean 'rack'? in host: db, own, rack"),
        ("\n{{ host.db.prt }}", "undefined variable: a mapping has no 'prt'", "did you mean 'port'? in it: port"),
        ("\n{{ host.own.b }}", "undefined variable: a mapping has no 'b'", "in it: a"),
        ("\n{{ host.rack.x }}", "undefined variable: a text has no 'x'", "see what is there"),
        (
            "\n{{ hots.rack }}",
            "undefined variable: 'hots' is undefined",
            "did you mean 'host'? variables in scope: host",
        ),
        ("\n{{ host }}", "the template cannot be rendered: the expression gives a mapping", "see that line"),
    ):
        with pytest.raises(InputError) as caught:
            templates.render(write(templates, text, f"u{abs(hash(text))}.j2"), {"host": host})
        assert caught.value.message.startswith(message)
        assert caught.value.hint == hint
        assert caught.value.where.endswith(".j2:2")


def test_a_missing_template_is_told_where_it_is_named(templates: TemplateSet) -> None:
    """The folder is right, and what names the template is not; one that an include names is told there."""
    with pytest.raises(InputError) as caught:
        templates.render("model.conf.j2", {}, where="hosts.yml:3:9")
    assert (caught.value.where, caught.value.hint) == ("hosts.yml:3:9", f"put it into {templates.directory}")
    with pytest.raises(InputError) as caught:
        templates.render(write(templates, "\n{% include 'x.j2' %}"), {}, where="hosts.yml:3:9")
    assert caught.value.where == f"{templates.directory / 't.j2'}:2"

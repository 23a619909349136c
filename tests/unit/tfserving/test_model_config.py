"""Reading, checking and overlapping model.config."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetdeploy.errors import InputError
from fleetdeploy.tfserving import model_config, stubs
from fleetdeploy.tfserving.model_config import ModelEntry

quick = settings(deadline=None, max_examples=25)


def text_of(models: dict[str, tuple[list[int], dict[str, int]]]) -> str:
    config = stubs.model_server_config_pb2.ModelServerConfig()
    config.model_config_list.SetInParent()
    for name, (versions, labels) in models.items():
        entry = config.model_config_list.config.add(name=name, base_path=f"/models/{name}", model_platform="tensorflow")
        entry.model_version_policy.specific.versions.extend(versions)
        entry.version_labels.update(labels)
    return model_config.to_text(config)


def one(body: str) -> str:
    return f"model_config_list {{ config {{ {body} }} }}"


GOOD = (
    'name: "m" base_path: "/models/m" model_platform: "tensorflow" '
    "model_version_policy { specific { versions: 2 versions: 1 } } "
    'version_labels { key: "stable" value: 1 }'
)


def entries(text: str) -> dict[str, ModelEntry]:
    return dict(model_config.wanted(model_config.parse(text, where="test")))


@st.composite
def models(draw: st.DrawFn) -> dict[str, tuple[list[int], dict[str, int]]]:
    names = draw(st.lists(st.sampled_from(["a", "b", "c", "ünïcode", 'q"uote']), unique=True))
    result = {}
    for name in names:
        versions = draw(st.lists(st.integers(1, 2**63 - 1) | st.integers(1, 4), min_size=1, max_size=4, unique=True))
        labels = draw(st.dictionaries(st.sampled_from(["stable", "canary"]), st.sampled_from(versions)))
        result[name] = (versions, labels)
    return result


def test_what_the_server_shall_serve_is_read() -> None:
    """Versions, labels and base path are read from the text, versions in ascending order."""
    config = model_config.parse(one(GOOD), where="t.j2")
    model_config.check(config, where="t.j2")
    assert model_config.wanted(config) == {"m": ModelEntry((1, 2), {"stable": 1}, "/models/m")}


@pytest.mark.parametrize(
    ("text", "place", "quoted"),
    [
        ("model_config_list {\n  confg { }\n}", "line 2, column 3", "confg { }"),
        ("model_config_list {\n  config {\n    name: 3\n  }\n}", "line 3, column 11", "name: 3"),
        ("model_config_list {\n  config {\n    name: 'a' name: 'b'\n  }\n}", "line 3", "name: 'a' name: 'b'"),
        ("model_config_list { }\nmodel_config_list { }", "line 2", "model_config_list { }"),
    ],
)
def test_syntax_error_names_template_and_rendered_line(text: str, place: str, quoted: str) -> None:
    """A text that does not parse is refused with the template's name, the rendered line and column, and the line."""
    with pytest.raises(InputError) as caught:
        model_config.parse(text, where="model.config.j2")
    assert caught.value.where == "model.config.j2"
    assert place in caught.value.message
    assert quoted in caught.value.hint


@pytest.mark.parametrize("text", ["model_config_list {", "model_config_list { config { name: 'a"])
def test_unfinished_text_is_refused(text: str) -> None:
    """A text that ends inside a block or a string is refused."""
    with pytest.raises(InputError, match="not a valid ModelServerConfig"):
        model_config.parse(text, where="t.j2")


@quick
@given(st.text("mode_l{}<>[]:;,'\"#1- \n\té", max_size=40))
def test_any_text_parses_or_is_bad_input(text: str) -> None:
    """No text whatever makes the parser fail in another way than InputError."""
    where = "t.j2"
    try:
        model_config.parse(text, where="t.j2")
    except InputError as error:
        where = error.where
    assert where == "t.j2"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (GOOD.replace('name: "m"', ""), "`name` is empty"),
        (GOOD.replace('base_path: "/models/m"', ""), "`base_path` is missing"),
        (GOOD.replace("/models/m", "models/m"), "is relative"),
        (GOOD.replace('model_platform: "tensorflow"', ""), "`model_platform` is missing"),
        (GOOD.replace('"tensorflow"', '"tensorflw"'), "unknown to the server"),
        (GOOD + " model_type: TENSORFLOW", "both `model_platform`"),
        (GOOD.replace('model_platform: "tensorflow"', "model_type: OTHER"), "no longer served"),
        (GOOD + " logging_config { }", "`logging_config` is refused"),
        (GOOD.replace("versions: 2 versions: 1", "").split(" version_labels")[0], "lists no version"),
        (GOOD.replace("specific { versions: 2 versions: 1 }", "latest { num_versions: 2 }"), "policy is `latest`"),
        (GOOD.replace("specific { versions: 2 versions: 1 }", "all { }"), "policy is `all`"),
        (GOOD.replace("model_version_policy { specific { versions: 2 versions: 1 } }", ""), "means `latest`"),
        (GOOD.replace("value: 1", "value: 3"), "points to version 3"),
        (GOOD.replace('"stable"', '""'), "empty name"),
        (GOOD.replace("versions: 2", "versions: -2"), "version -2 is not a positive number"),
    ],
)
def test_what_a_server_would_refuse_is_refused_here(body: str, said: str) -> None:
    """Each rule of the server that costs a restart when it is broken is checked before anything is sent."""
    found = model_config.problems(model_config.parse(one(body), where="t.j2"), where="t.j2")
    assert [said in problem.message for problem in found] == [True]
    assert found[0].hint
    assert found[0].where == "t.j2"


def test_deprecated_type_alone_is_accepted() -> None:
    """`model_type: TENSORFLOW` without a platform is what the server still accepts."""
    body = GOOD.replace('model_platform: "tensorflow"', "model_type: TENSORFLOW")
    assert model_config.problems(model_config.parse(one(body), where="")) == ()


def test_all_problems_are_told_at_once() -> None:
    """Every problem of every model is reported, not only the first."""
    text = f'model_config_list {{ config {{ {GOOD} }} config {{ {GOOD} }} config {{ name: "n" }} }}'
    with pytest.raises(InputError) as caught:
        model_config.check(model_config.parse(text, where="t.j2"), where="t.j2")
    said = "\n".join(problem.message for problem in caught.value.problems)
    assert "'m' stands 2 times" in said
    assert said.count("model 'n'") == 3


@pytest.mark.parametrize(
    ("text", "hint"), [("# nothing\n", "model_config_list {}"), ("custom_model_config {}", "{ ... }")]
)
def test_unset_configuration_is_refused(text: str, hint: str) -> None:
    """A text that sets no model list is refused with what to write; an empty list is fine."""
    found = model_config.problems(model_config.parse(text, where="t.j2"), where="t.j2")
    assert [hint in problem.hint for problem in found] == [True]
    assert model_config.problems(model_config.parse(model_config.NO_MODELS, where="")) == ()


@quick
@given(models())
def test_rendering_is_canonical(wished: dict[str, tuple[list[int], dict[str, int]]]) -> None:
    """Equal configurations give equal texts whatever the order they were written in, and rendering loses nothing."""
    text = text_of(wished)
    backwards = {name: (wished[name][0][::-1], wished[name][1]) for name in reversed(wished)}
    assert text_of(backwards) == text
    assert model_config.to_text(model_config.parse(text, where="")) == text
    assert entries(text) == {
        name: ModelEntry(tuple(sorted(versions)), dict(sorted(labels.items())), f"/models/{name}")
        for name, (versions, labels) in wished.items()
    }


@quick
@given(models(), models())
def test_overlap_serves_old_and_new(
    old: dict[str, tuple[list[int], dict[str, int]]], new: dict[str, tuple[list[int], dict[str, int]]]
) -> None:
    """The overlap lists every version of both, keeps exactly the old labels, and passes the check."""
    text = model_config.overlap(text_of(old), text_of(new))
    model_config.check(model_config.parse(text, where="overlap"))
    both = entries(text)
    assert set(both) == set(old) | set(new)
    for name, entry in both.items():
        wanted = {*old.get(name, ([], {}))[0], *new.get(name, ([], {}))[0]}
        assert set(entry.versions) == wanted
        assert entry.labels == old.get(name, ([], {}))[1]


@quick
@given(models())
def test_overlap_with_itself_changes_nothing(wished: dict[str, tuple[list[int], dict[str, int]]]) -> None:
    """A configuration overlapped with itself is itself, letter for letter."""
    text = text_of(wished)
    assert model_config.overlap(text, text) == text


def test_overlap_from_nothing_has_no_labels() -> None:
    """For a server without models the overlap is the new configuration without its labels."""
    new = text_of({"m": ([1], {"stable": 1})})
    assert model_config.overlap("", new) == text_of({"m": ([1], {})})


def test_moved_base_path_cannot_be_reloaded() -> None:
    """A model whose base path changes is refused: versions with numbers already loaded would not be read again."""
    old, new = one(GOOD), one(GOOD.replace("/models/m", "/elsewhere/m"))
    assert "base_path" in model_config.reload_obstacles(old, new)[0]
    with pytest.raises(InputError, match="base_path"):
        model_config.overlap(old, new)
    assert model_config.reload_obstacles(old, old) == ()


def test_a_configuration_that_was_parsed_is_the_callers_own() -> None:
    """What was read of a text is kept, and no caller can change it for the next one."""
    text = text_of({"m": ([1], {})})
    model_config.parse(text, where="").model_config_list.Clear()
    assert list(model_config.wanted(model_config.parse(text, where=""))) == ["m"]

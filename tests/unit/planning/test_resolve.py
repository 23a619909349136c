"""From wishes to resolved services: numbers, labels, golden requests, and the rendered configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from simulation.controller import sim_host

from fleetdeploy.config.templates import TemplateSet
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.service import ModelWish, Ports, ServiceWish, VersionsWish
from fleetdeploy.errors import ArtefactRefused, InputError
from fleetdeploy.planning.resolve import Artefacts, numbers_in, resolve_host, resolve_model, resolve_numbers
from fleetdeploy.tfserving import stubs

ROOT = Path(__file__).parents[3]
GOLDEN = '{"name": "any", "inputs": {"x": [1.0]}, "outputs": {"y": [1.0]}}\n'
CONFIG = 'model_config_list { config { name: "ranker" base_path: "%s" model_platform: "tensorflow" %s } }'

Make = Callable[..., Path]


@pytest.fixture
def source(tmp_path: Path) -> Make:
    """Makes version directories that hold a SavedModel without variables."""

    def make(*names: str) -> Path:
        model = stubs.saved_model_pb2.SavedModel(saved_model_schema_version=1)
        graph = model.meta_graphs.add()
        graph.meta_info_def.tags.append("serve")
        graph.signature_def["serving_default"].inputs["x"].dtype = 1
        graph.signature_def["serving_default"].outputs["y"].dtype = 1
        for name in names:
            directory = tmp_path / "ranker" / name
            directory.mkdir(parents=True)
            (directory / "saved_model.pb").write_bytes(model.SerializeToString())
        return tmp_path / "ranker"

    return make


def wish(source: Path, *numbers: int, latest: int = 0, **more: object) -> ModelWish:
    return ModelWish("ranker", source, VersionsWish(numbers, latest), **more)  # type: ignore[arg-type]


def host(*models: ModelWish, template: str = "model.config.j2") -> Host:
    service = ServiceWish("ranking", "serving:1", Ports(8500, 8501), "10.0.0.1", models, template=template)
    return replace(sim_host("gpu1"), services=(service,))


def test_latest_counts_numbers_not_names(source: Make) -> None:
    """``latest`` takes the largest numbers; names that TF Serving would not take for versions do not count."""
    where = source("9", "10", "011", "12.tmp", "0", "-3")
    assert numbers_in(where) == (9, 10)
    assert resolve_numbers(VersionsWish(latest=1), where) == (10,)
    assert resolve_numbers(VersionsWish(latest=2), where) == (9, 10)
    assert resolve_numbers(VersionsWish(numbers=(3, 1)), where) == (1, 3)


def test_too_few_versions_are_refused(source: Make) -> None:
    """``{latest: 3}`` of two versions is not quietly two."""
    with pytest.raises(ArtefactRefused, match="has 2 numeric version directories, 3 wanted"):
        resolve_numbers(VersionsWish(latest=3), source("1", "2"))


def test_a_missing_version_names_those_that_are_there(source: Make) -> None:
    """The hint of a wrong number is the list of right ones."""
    with pytest.raises(ArtefactRefused) as caught:
        resolve_model(wish(source("1", "2"), 3), Artefacts())
    assert "has no version 3" in caught.value.message
    assert caught.value.hint == "versions there: 1, 2"


def test_a_missing_source_is_refused(tmp_path: Path) -> None:
    """A source that is no directory is an artefact error with a hint."""
    with pytest.raises(ArtefactRefused, match="is not a directory"):
        resolve_model(wish(tmp_path / "nowhere", latest=1), Artefacts())


def test_a_source_that_cannot_be_listed_is_refused(source: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without the right to read it is an artefact error that says so, not a bug."""
    where = source("1")

    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(ArtefactRefused, match="cannot be listed: Permission denied"):
        resolve_model(wish(where, 1), Artefacts())


def test_a_directory_without_a_saved_model_is_refused(source: Make, tmp_path: Path) -> None:
    """Exit code 7: nothing without ``saved_model.pb`` is shipped."""
    where = source("1")
    (where / "1" / "saved_model.pb").unlink()
    with pytest.raises(ArtefactRefused):
        resolve_model(wish(where, 1), Artefacts())


def test_a_label_must_point_to_a_version(source: Make) -> None:
    """A label to a version that is not listed is refused before any host is contacted."""
    with pytest.raises(InputError, match=r"label 'stable' .* points to version 7"):
        resolve_model(wish(source("1"), 1, labels={"stable": 7}), Artefacts())


def test_every_version_needs_a_golden_request(source: Make, tmp_path: Path) -> None:
    """A golden file that does not speak of a version is no proof of it."""
    golden = tmp_path / "golden.jsonl"
    golden.write_text(GOLDEN.replace('"any",', '"any", "version": 1,'))
    with pytest.raises(InputError, match="no golden request for version 2"):
        resolve_model(wish(source("1", "2"), 1, 2, golden=golden), Artefacts())


PLACES = {"source": "g.yml:8:17", "versions": "g.yml:9:19", "labels": "g.yml:10:17", "golden": "g.yml:11:17"}


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"source": Path("/nowhere")}, "g.yml:8:17"),
        ({"versions": VersionsWish((3,))}, "g.yml:9:19"),
        ({"versions": VersionsWish(latest=3)}, "g.yml:9:19"),
        ({"labels": {"stable": 7}}, "g.yml:10:17"),
        ({"golden": Path("/nowhere/golden.jsonl")}, "g.yml:11:17"),
        ({"versions": VersionsWish((1, 2))}, "g.yml:11:17"),
    ],
    ids=["source", "version", "latest", "label", "golden file", "golden line"],
)
def test_a_model_error_names_the_line_that_asked_for_it(
    source: Make, tmp_path: Path, changed: dict[str, object], place: str
) -> None:
    """What is missing on disk is told at the inventory's own line and column, also through the service."""
    golden = tmp_path / "golden.jsonl"
    golden.write_text(GOLDEN.replace('"any",', '"any", "version": 1,'))
    right = wish(source("1", "2"), 1, golden=golden, places=PLACES)
    resolve_model(right, Artefacts())
    with pytest.raises(InputError) as caught:
        resolve_host(host(replace(right, **changed)), TemplateSet(ROOT / "templates"), Artefacts())  # type: ignore[arg-type]
    assert [problem.where for problem in caught.value.problems] == [place]


def test_the_sample_template_renders_what_the_inventory_says(source: Make) -> None:
    """The project's own template gives the versions and labels of the inventory in canonical text."""
    where = source("1", "2")
    (service,) = resolve_host(
        host(wish(where, 2, 1, labels={"stable": 1})), TemplateSet(ROOT / "templates"), Artefacts()
    )
    assert service.models[0].wanted == (1, 2)
    assert 'base_path: "/models/ranker"' in service.config_text
    assert service.config_text.index("versions: 1") < service.config_text.index("versions: 2")
    assert 'key: "stable"' in service.config_text


def test_errors_of_rendered_text_name_the_templates_line(source: Make, tmp_path: Path) -> None:
    """A text that is no configuration is told with the line of the template it came from, its own line, and the host.

    What is wrong with all of the text is told with the template's path.
    """
    (tmp_path / "bad.j2").write_text("{# one\n   two #}\nmodel_config_list {\n  bogus {\n}\n")
    (tmp_path / "none.j2").write_text("# nothing\n")
    templates, models = TemplateSet(tmp_path), wish(source("1"), 1)
    for name, line, text in (("bad.j2", ":4", "line 2, column 3 of the rendered text"), ("none.j2", "", "nothing")):
        with pytest.raises(InputError, match=text) as caught:
            resolve_host(host(models, template=name), templates, Artefacts())
        (problem,) = caught.value.problems
        assert (problem.where, problem.host) == (f"{tmp_path / name}{line}", "gpu1")


def test_a_template_sees_the_hosts_names(source: Make, tmp_path: Path) -> None:
    """The host's name, its short form and its groups are there as in Ansible, at the top and below `host`."""
    shipped = (ROOT / "templates" / "model.config.j2").read_text()
    (tmp_path / "named.j2").write_text(
        "{% set top = [inventory_hostname, inventory_hostname_short, group_names] %}"
        "{% set below = [host.inventory_hostname, host.inventory_hostname_short, host.group_names] %}"
        "{% if top == below and top == ['gpu1.x', 'gpu1', ['gpu', 'web']] %}" + shipped + "{% endif %}"
    )
    named = replace(host(wish(source("1"), 1), template="named.j2"), name="gpu1.x", groups=("all", "web", "gpu"))
    (desired,) = resolve_host(named, TemplateSet(tmp_path), Artefacts())
    assert desired.models[0].name == "ranker"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ nothing }}", "nothing"),
        ("model_config_list {", "not a valid ModelServerConfig"),
        ("model_config_list {}", "leaves out model 'ranker'"),
        (
            CONFIG % ("/models/ranker", "model_version_policy { specific { versions: 7 } }"),
            "versions or labels of 'ranker' differ",
        ),
        (
            CONFIG % ("/other", "model_version_policy { specific { versions: 1 } }"),
            "base_path of 'ranker' must be /models/ranker",
        ),
        (
            CONFIG % ("/models/ranker", ""),
            "no version policy",
        ),
    ],
)
def test_a_template_cannot_serve_something_else(source: Make, tmp_path: Path, template: str, message: str) -> None:
    """What a template renders is parsed, checked, and held against the inventory."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "bad.j2").write_text(template)
    with pytest.raises(InputError) as caught:
        resolve_host(host(wish(source("1"), 1), template="bad.j2"), TemplateSet(tmp_path / "templates"), Artefacts())
    assert any(message in problem.message for problem in caught.value.problems), caught.value.problems


def test_all_problems_of_a_host_come_at_once(source: Make, tmp_path: Path) -> None:
    """Two bad models are two problems, and one of an artefact makes the exit code 7."""
    models = (wish(source("1"), 2), replace(wish(tmp_path / "nowhere", latest=1), name="other"))
    with pytest.raises(ArtefactRefused) as caught:
        resolve_host(host(*models), TemplateSet(ROOT / "templates"), Artefacts())
    assert len(caught.value.problems) == 2
    assert caught.value.exit_code == 7


def test_a_version_is_read_once_however_many_hosts_want_it(source: Make) -> None:
    """Hashing gigabytes for every host would be a waste."""
    artefacts, asked = Artefacts(), wish(source("1"), 1)
    assert artefacts.version(asked, 1) is artefacts.version(asked, 1)

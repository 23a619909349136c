"""Every value of a host is traced to the place that set it, and to all that it overrode."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.config.inventory.explain import Explanation, explain, explain_all
from fleetdeploy.config.inventory.load import Loaded, load
from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.syntax.nodes import MapNode
from fleetdeploy.errors import InputError

FILES = {
    "hosts": "[web]\nh v=host m=\"{'a': {'b': [1, 2]}}\"\n[web:vars]\nv = group\nw=1\n",
    "group_vars/all.yml": "v: all\nm: {a: {c: 9}}\nx.y: 1\n",
    "group_vars/web.yml": (
        "services:\n  s:\n    image: a:1\n    ports: {grpc: 1, rest: 2}\n    bind: 10.0.0.1\n"
        "    flags: {enable_batching: true}\n"
        "    models: {m.v2: {source: m, versions: [7], golden: none, labels: {stable: 7}}}\n"
    ),
    "host_vars/h.yml": "services: {s: {flags: null, models: {m.v2: {versions: [8], labels: {stable: 8}}}}}\n",
}


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    extra = yaml.loads("{v: extra}", file="-e")
    assert isinstance(extra, MapNode)
    return load([Path("hosts")], extra_vars=extra)


def said(found: Explanation) -> list[tuple[str, str, object]]:
    return [(item.layer, str(item.where), item.value) for item in found.settings]


def test_an_ordinary_variable(loaded: Loaded) -> None:
    """All layers that set it are told, the weakest first; the last one is in force."""
    found = explain(loaded, "h", "v")
    assert (found.value, str(found.where)) == ("extra", "-e:1:5")
    assert said(found) == [
        ("group web", "hosts:4:5", "group"),
        ("group_vars of all", "group_vars/all.yml:1:4", "all"),
        ("host h", "hosts:2:5", "host"),
        ("-e", "-e:1:5", "extra"),
    ]


def test_a_key_inside_services(loaded: Loaded) -> None:
    """Keys of services come from several places, and a model's name may hold dots."""
    found = explain(loaded, "h", "services.s.models.m.v2.versions")
    assert (found.value, str(found.where)) == ([8], "host_vars/h.yml:1:55")
    assert [value for _, _, value in said(found)] == [[7], [8]]
    assert explain(loaded, "h", "services.s.models.m.v2.versions[0]").value == 8
    assert str(explain(loaded, "h", "services.s.image").where) == "group_vars/web.yml:3:12"
    assert explain(loaded, "h", "services.s.ports").value == {"grpc": 1, "rest": 2}


def test_a_key_inside_an_ordinary_variable(loaded: Loaded) -> None:
    """Inside a mapping that was replaced as a whole, only what the layers say about the key is told."""
    found = explain(loaded, "h", "m.a.b[1]")
    assert (found.value, found.key) == (2, "m.a.b[1]")
    assert said(found) == [("host h", "hosts:2:12", 2)]


@pytest.mark.parametrize(
    ("key", "message", "hint"),
    [
        ("vv", "no 'vv' of h", "did you mean 'v'"),
        ("services.s.imgae", "no 'imgae' in 'services.s' of h", "did you mean 'image'?"),
        ("services.s.models.m.v2.version", "no 'version' in 'services.s.models.m.v2' of h", "did you mean 'versions'?"),
        ("m.a.c", "no 'c' in 'm.a' of h", "keys here: b"),
        ("m.a.b[7]", "no '[7]' in 'm.a.b' of h", "inventory explain HOST"),
        ("services.s.flags", "services.s.flags is not set for h: it is removed by host_vars of h", "a null in"),
        ("services.s.flags.enable_batching", "is removed by host_vars of h", "a null in"),
    ],
)
def test_keys_that_are_not_set(key: str, message: str, hint: str, loaded: Loaded) -> None:
    """A key that is not there is an error with the nearest one, or with the place of the null that removed it."""
    with pytest.raises(InputError) as caught:
        explain(loaded, "h", key)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_all_variables(loaded: Loaded) -> None:
    """Without a key every variable is told once, and of services every value."""
    found = {item.key: item for item in explain_all(loaded, "h")}
    assert set(found) >= {"v", "w", "m", "services.s.image", "services.s.ports.grpc"}
    assert "services" not in found
    assert not any("flags" in key for key in found)


def test_what_an_expression_gives(tmp_path: Path) -> None:
    """The value, and the places of all variables in it, also of those that these need."""
    file = tmp_path / "hosts.yml"
    file.write_text(
        "all:\n  vars:\n    tag: '1.2'\n    serving_image: 'serving:{{ tag }}'\n"
        "    m: {i: ['{{ serving_image }}', 5]}\n    bad: '{{ nothing }}'\n    plain: 1\n  hosts: {h: }\n"
    )
    loaded = load([file])
    found = explain(loaded, "h", "m.i[0]")
    assert found.value == "{{ serving_image }}"
    assert found.rendered is not None
    assert found.rendered.value == "serving:1.2"
    assert [(use.key, use.value, str(use.where)) for use in found.uses] == [
        ("serving_image", "serving:{{ tag }}", f"{file}:4:20"),
        ("tag", "1.2", f"{file}:3:10"),
    ]
    whole = explain(loaded, "h", "m").rendered
    assert whole is not None
    assert whole.value == {"i": ["serving:1.2", 5]}
    bad = explain(loaded, "h", "bad").rendered
    assert bad is not None
    assert "'nothing' is undefined" in bad.problem
    assert explain(loaded, "h", "plain").rendered is None

"""Served and new versions held against each other: what is compared, what is refused, what is said where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from simulation.controller import desired, sim_host
from simulation.seen import empty_host, settled_host

from fleetdeploy.domain.observed import Absent, ObservedHost, Present, State, Unknown, VersionState
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.domain.service import DesiredService, ModelWish, VersionsWish
from fleetdeploy.domain.signatures import KnownSignatures, Signature, TensorSpec
from fleetdeploy.planning.host import plan_host
from fleetdeploy.planning.resolve import Artefacts, resolve_model
from fleetdeploy.tfserving import stubs


def known(*inputs: str, dtype: str = "float32") -> KnownSignatures:
    """Signatures with these inputs; the size is that of the simulation's version directories."""
    specs = {name: TensorSpec(name, dtype, (None,)) for name in inputs}
    return KnownSignatures({"serving_default": Signature(specs, {})}, graph_bytes=100)


SAME = {number: known("x") for number in (1, 2, 3)}
BROKEN = {**SAME, 2: known("y")}


def wanted(
    *numbers: int, signatures: Mapping[int, KnownSignatures], allow: bool = False, **labels: int
) -> DesiredService:
    service = desired(*numbers, labels=labels)
    model = replace(service.models[0], signatures=signatures, allow_signature_change=allow)
    return replace(service, models=(model,))


def plan(service: DesiredService, observed: ObservedHost, *allowed: str) -> HostPlan:
    return plan_host(sim_host("gpu1"), [service], observed, stamp="T1", allow_signature_change=frozenset(allowed))


def serving(*numbers: int, labels: Mapping[str, int] | None = None, **changes: object) -> ObservedHost:
    """A host on which these versions were proven, with what the probe saw changed."""
    host = settled_host(desired(*numbers, labels=labels))
    seen = replace(host.services["ranking"], **changes)  # type: ignore[arg-type]
    return replace(host, services={"ranking": seen})


def test_a_breaking_version_is_refused_as_an_artefact() -> None:
    """Exit code 7, with every breaking change and both ways to allow it; nothing is planned for the host."""
    found = plan(wanted(2, signatures=BROKEN), serving(1))
    (refusal,) = found.refusals
    assert refusal.message.splitlines() == [
        "version 2 of ranker breaks callers of version 1, which is served:",
        "      serving_default input 'x': float32 [?] (removed)",
        "      serving_default input 'y': float32 [?] (new and required)",
    ]
    assert "--allow-signature-change ranker" in refusal.hint
    assert "`allow_signature_change: true`" in refusal.hint
    assert Plan({"gpu1": found}).refusal_exit_code == 7
    assert found.services == ()
    assert len(found.signatures[0].breaking) == 2


@pytest.mark.parametrize("by", ["inventory", "option"])
def test_what_is_allowed_is_planned_and_still_told(by: str) -> None:
    """The model's own setting and the option both let it through, and the plan keeps the changes."""
    service = wanted(2, signatures=BROKEN, allow=by == "inventory")
    found = plan(service, serving(1), *(["ranker"] if by == "option" else []))
    assert found.refusals == ()
    assert found.changed
    (compared,) = found.signatures
    assert (compared.served, compared.new, compared.allowed, len(compared.breaking)) == (1, 2, True, 2)


def test_the_option_allows_only_the_model_it_names() -> None:
    """Another model's name changes nothing."""
    assert plan(wanted(2, signatures=BROKEN), serving(1), "embedder").refusals


def test_equal_signatures_are_compared_and_pass() -> None:
    """The comparison is in the plan, without changes."""
    (compared,) = plan(wanted(2, signatures=SAME), serving(1)).signatures
    assert (compared.changes, compared.unknown) == ((), "")


@pytest.mark.parametrize(
    ("served", "versions", "pairs"),
    [
        ((1,), (1, 2), [(1, 2)]),
        ((1, 2), (3,), [(2, 3)]),
        ((1, 2), (2, 3), [(2, 3)]),
        ((3,), (1, 2), [(3, 1), (3, 2)]),
        ((3,), (1, 3), []),
        ((1, 2), (2,), []),
    ],
)
def test_which_versions_are_compared(
    served: tuple[int, ...], versions: tuple[int, ...], pairs: list[tuple[int, int]]
) -> None:
    """The newest served version with every new one, unless the newest stays and a new one is older than it."""
    found = plan(wanted(*versions, signatures=SAME), serving(*served)).signatures
    assert [(item.served, item.new) for item in found] == pairs


@pytest.mark.parametrize(
    ("served", "before", "versions", "after", "found"),
    [
        ((1,), {"stable": 1}, (2,), {"stable": 2}, [(1, 2, "stable")]),
        ((1, 3), {"stable": 1}, (2, 3), {"stable": 2}, [(1, 2, "stable")]),
        ((1, 2), {"stable": 1}, (1, 2), {"stable": 2}, [(1, 2, "stable")]),
        ((1, 2), {"stable": 2}, (1, 2), {"stable": 1}, [(2, 1, "stable")]),
        ((1, 2), {"stable": 1, "canary": 2}, (3,), {"stable": 3, "canary": 3}, [(1, 3, "stable"), (2, 3, "canary")]),
        ((1,), {"stable": 1, "canary": 1}, (2,), {"stable": 2, "canary": 2}, [(1, 2, "canary, stable")]),
        ((1,), {"stable": 1}, (1, 2), {"stable": 1, "canary": 2}, [(1, 2, "")]),
        ((1, 2), {"canary": 2}, (1, 2), {}, []),
        ((2,), {"stable": 1}, (2, 3), {"stable": 3}, [(2, 3, "")]),
    ],
)
def test_what_callers_of_a_label_get(
    served: tuple[int, ...],
    before: dict[str, int],
    versions: tuple[int, ...],
    after: dict[str, int],
    found: list[tuple[int, int, str]],
) -> None:
    """A label's two ends, whatever is served beside them, each pair once; a label that comes, goes or pointed to
    nothing does not move.
    """
    service = settled_host(desired(*{*served, *before.values()}, labels=before)).services["ranking"]
    host = serving(*served, labels=before, config_text=service.config_text)
    compared = plan(wanted(*versions, signatures=SAME, **after), host).signatures
    assert [(item.served, item.new, item.label) for item in compared] == found


def test_a_label_that_breaks_its_callers_is_refused() -> None:
    """Also where requests without a version go to a newer one and see nothing of it; the refusal names the label."""
    service = wanted(2, 3, signatures=BROKEN, stable=2)
    found = plan(service, serving(1, 3, labels={"stable": 1}))
    (refusal,) = found.refusals
    assert refusal.message.startswith(
        "version 2 of ranker breaks callers of version 1, which is served as label stable:\n"
    )
    assert refusal.exit_code == 7
    assert plan(service, serving(1, 3, labels={"stable": 1}), "ranker").refusals == ()
    both = wanted(2, signatures=BROKEN, stable=2, canary=2)
    (refusal,) = plan(both, serving(1, labels={"stable": 1, "canary": 1})).refusals
    assert "version 1, which is served as labels canary, stable:" in refusal.message


def test_labels_of_a_configuration_that_fleetdeploy_did_not_write() -> None:
    """They are in force all the same; where nothing can be read of it there is nothing to hold against."""
    policy = 'name: "ranker" base_path: "/models/ranker" model_platform: "tensorflow"'
    text = f'model_config_list {{ config {{ {policy} version_labels {{ key: "stable" value: 1 }} }} }}'
    service = wanted(2, 3, signatures=BROKEN, stable=2)
    (compared,) = plan(service, serving(1, 3, config_text=Present(text))).signatures
    assert (compared.served, compared.new, compared.label) == (1, 2, "stable")
    assert plan(service, serving(1, 3, config_text=Present("model_config_list {"))).signatures == ()


def test_a_first_deploy_compares_nothing() -> None:
    """Where a model was never served nobody calls it yet."""
    service = wanted(2, signatures=BROKEN)
    assert plan(service, empty_host(service)).signatures == ()


@pytest.mark.parametrize(
    "served", [Unknown("no answer"), Absent(), Present((VersionState(1, State.END, "NOT_FOUND: no"),))]
)
def test_a_server_that_does_not_answer(served: object) -> None:
    """What was last proven stands for what cannot be asked: a crashed server does not let a change through."""
    found = plan(wanted(2, signatures=BROKEN), serving(1, served={"ranker": served}))
    assert [item.served for item in found.signatures] == [1]
    assert found.refusals


def test_a_server_of_which_nothing_is_known() -> None:
    """A server that runs, does not answer and has no record: not refused, but said."""
    found = plan(wanted(2, signatures=BROKEN), serving(1, served={}, release=Absent()))
    (compared,) = found.signatures
    assert (compared.served, compared.unknown) == (None, "what the server serves now could not be read")


def test_a_version_that_is_not_here_any_more() -> None:
    """Where the served version's signature is not known, the plan goes on and says so."""
    found = plan(wanted(2, signatures={2: known("y")}), serving(1))
    assert found.refusals == ()
    (compared,) = found.signatures
    assert compared.unknown == (
        "the signature of version 1 is not known here: it is not in the model's source any more"
    )


def test_another_model_under_the_served_number() -> None:
    """A directory here whose graph has another size than the host's says nothing about what is served."""
    other = {**SAME, 1: replace(known("x"), graph_bytes=99)}
    (compared,) = plan(wanted(2, signatures=other), serving(1)).signatures
    assert "the host serves another saved_model.pb" in compared.unknown


def test_resolve_reads_the_signatures_of_all_versions(tmp_path: Path) -> None:
    """Also of versions that are not wanted, and a damaged one costs only its own."""
    model = stubs.saved_model_pb2.SavedModel()
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.signature_def["s"].inputs["x"].dtype = 1
    for number in (1, 2, 3):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "saved_model.pb").write_bytes(model.SerializeToString())
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"no protobuf")
    wish = ModelWish("ranker", tmp_path, VersionsWish((3,)), allow_signature_change=True)
    found = resolve_model(wish, Artefacts())
    assert found.allow_signature_change
    assert set(found.signatures) == {1, 2, 3}
    assert "does not parse" in found.signatures[1].problem
    assert set(found.signatures[2].signatures["s"].inputs) == {"x"}

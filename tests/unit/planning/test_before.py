"""What a server must be taken to have, and that no model of it is unloaded without a word, whatever its host tells."""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulation.controller import config_text, desired, sim_host
from simulation.seen import settled_host

from fleetdeploy.domain.observed import Absent, ObservedHost, Present, Reading, Unknown
from fleetdeploy.domain.plan import Activation, HostPlan
from fleetdeploy.domain.service import GpuRequest
from fleetdeploy.planning.before import config_in_force
from fleetdeploy.planning.host import plan_host
from fleetdeploy.report.plan.changes_text import change_lines
from fleetdeploy.tfserving.model_config import NO_MODELS

BOTH = desired(models={"ranker": (1,), "precious": (7,)})
WANTED = desired(1)
LATEST = (
    'model_config_list { config { name: "ranker" base_path: "/models/ranker" model_version_policy { latest {} } } X }'
)
PRECIOUS = 'config { name: "precious" base_path: "/models/precious" model_version_policy { latest {} } }'
TELLS_NOTHING: list[Reading[str]] = [Absent(), *map(Present, ("", " \n", NO_MODELS, "model_config_list {", "\0", "x"))]


def host(config: Reading[str], **changes: object) -> ObservedHost:
    """A host that serves ``ranker`` and ``precious``, with that file."""
    seen = settled_host(BOTH)
    service = replace(seen.services["ranking"], config_text=config, **changes)  # type: ignore[arg-type]
    return replace(seen, services={"ranking": service})


def plan(seen: ObservedHost, *, allow_remove: bool = False) -> HostPlan:
    return plan_host(sim_host("gpu1"), [WANTED], seen, stamp="T1", allow_remove=allow_remove)


def lines(found: HostPlan) -> list[str]:
    return [line.plain.strip() for line in change_lines(found.services[0], diff=False)]


@pytest.mark.parametrize(
    "config", [*TELLS_NOTHING, Present(LATEST.replace("X", PRECIOUS)), Present(LATEST.replace("X", ""))]
)
def test_a_served_model_is_not_unloaded_without_a_word(config: Reading[str]) -> None:
    """Whether the file names it in another form, is damaged or gone, or somebody took the model out of it: the release
    record still knows it. Text and JSON name it where it is meant.
    """
    (refusal,) = plan(host(config)).refusals
    assert "would unload precious, which the inventory no longer lists" in refusal.message
    meant = plan(host(config), allow_remove=True)
    assert meant.services[0].server.removed == ("precious",)
    assert any(line.startswith("models.precious: ") and line.endswith("-> unloaded") for line in lines(meant))


def test_versions_that_a_file_does_not_name_are_not_made_up() -> None:
    """A policy has none."""
    found = plan(host(Present(LATEST.replace("X", PRECIOUS))), allow_remove=True)
    assert "models.precious: (no explicit versions) -> unloaded" in lines(found)
    assert found.services[0].activation is Activation.REPLACE


@pytest.mark.parametrize("config", TELLS_NOTHING)
def test_nothing_told_is_not_nothing_there(config: Reading[str]) -> None:
    """A server that runs, no file that tells what it has and no record: refused, as only the models of the inventory
    are asked for. A server that does not run has nothing.
    """
    seen = host(config, release=Absent())
    (refusal,) = plan(seen).refusals
    assert "nothing tells which models it has: config/model.config" in refusal.message
    assert plan(seen, allow_remove=True).services[0].activation is Activation.RELOAD
    container = seen.services["ranking"].container
    assert isinstance(container, Present)
    stopped = host(config, release=Absent(), container=Present(replace(container.value, status="exited")))
    assert plan(replace(stopped, listening=Present(()))).refusals == ()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (Absent(), "config/model.config is missing on the host"),
        (Present("\n"), "config/model.config on the host is empty"),
        (Present(NO_MODELS), "config/model.config on the host lists no models"),
        (Present("{"), "config/model.config on the host is not a list of models"),
    ],
)
def test_the_reason_is_the_file(config: Reading[str], reason: str) -> None:
    """Not that the configuration changed: nobody here wrote that one."""
    found = plan(host(config), allow_remove=True).services[0]
    assert (found.activation, found.reason) == (Activation.RELOAD, reason)


def test_a_server_that_nothing_is_known_of_is_not_reloaded() -> None:
    """A reload could drop what serves unseen; a replacement keeps the container for a revert."""
    service = plan(host(Absent(), release=Absent(), served={"ranker": Unknown("timeout")}), allow_remove=True)
    assert service.services[0].activation is Activation.REPLACE


def test_a_record_without_a_configuration_still_names_its_models() -> None:
    """Its list of models stands for it."""
    record = host(Absent()).services["ranking"].release
    assert isinstance(record, Present)
    broken = host(Absent(), release=Present(replace(record.value, config_text="{")))
    assert "would unload precious" in plan(broken).refusals[0].message
    assert config_in_force(WANTED, broken.services["ranking"]) == BOTH.config_text


def test_our_own_file_stands_above_the_record() -> None:
    """After a run that ended before its proof the record is the older one."""
    assert plan(host(Present(config_text((("ranker", (1,), ()),))))).refusals == ()


def test_names_on_a_host_cannot_drive_a_terminal() -> None:
    """A model that somebody wrote into the configuration there is shown with escapes."""
    evil = Present('model_config_list { config { name: "\\033[2J" base_path: "/x" } config { } }')
    assert "would unload '', '\\x1b[2J', precious," in plan(host(evil)).refusals[0].message


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (GpuRequest(devices=(1,)), "wants GPU 1, the host has only GPU 0"),
        (GpuRequest(count=2), "wants 2 GPUs, the host has only GPU 0"),
        (GpuRequest(all=True), "wants all GPUs, the host has none"),
        (GpuRequest(count=1), "wants a GPU, the host has none"),
    ],
)
def test_gpus_that_a_host_lacks(request_: GpuRequest, said: str) -> None:
    """By their indexes where the inventory names them, else by how many there are."""
    seen = settled_host(WANTED)
    assert isinstance(seen.gpus, Present)
    gpus = () if said.endswith("none") else seen.gpus.value[:1]
    service = replace(WANTED, wish=replace(WANTED.wish, gpus=request_))
    found = plan_host(sim_host("gpu1"), [service], replace(seen, gpus=Present(gpus)), stamp="T1")
    assert said in found.refusals[0].message

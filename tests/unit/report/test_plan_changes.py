"""What differs, as a plan shows it: files of a version, fields of a container. Texts are held as people grep them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from simulation.controller import desired, sim_host, version
from simulation.seen import on_disk, settled_host

from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.plan import Activation, HostPlan, ServicePlan
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.service import DesiredService, Manifest, ManifestFile, Ports
from fleetdeploy.planning.host import plan_host
from fleetdeploy.report.plan import as_json
from fleetdeploy.report.plan.changes_text import change_lines, container_lines, stage_lines

V1, V2 = desired(1), desired(2)


def planned(wanted: DesiredService, before: DesiredService = V1) -> ServicePlan:
    found: HostPlan = plan_host(sim_host("gpu1"), [wanted], settled_host(before), stamp="T1")
    assert found.refusals == ()
    return found.services[0]


def wish(service: DesiredService, **changes: Any) -> DesiredService:
    return replace(service, wish=replace(service.wish, **changes))


def lines(plan: ServicePlan) -> list[str]:
    return [text.plain.strip() for text in change_lines(plan, diff=True)]


def fields(plan: ServicePlan) -> list[str]:
    """The lines about the container."""
    return [line for line in lines(plan) if line.startswith("container.")]


# Files


def test_the_files_of_a_version() -> None:
    """Changed, added and removed files by their signs, with what each of them weighs."""
    old = version("ranker", 1)
    files = (
        ManifestFile("assets/vocab.txt", 1229, "c" * 64),
        ManifestFile("saved_model.pb", 2048, "d" * 64),
    )
    new = replace(version("ranker", 2), manifest=Manifest(files))
    wanted = replace(V2, models=(replace(V2.models[0], versions=(new,)),))
    (item,) = planned(wanted).stage
    assert [text.plain for text in stage_lines(item, diff=True)] == [
        "    stage ranker/2: copy 3.2 KiB, compared with 1",
        "      + assets/vocab.txt  1.2 KiB",
        "      ~ saved_model.pb  2.0 KiB",
        "      - variables/variables.index",
    ]
    assert [text.plain for text in stage_lines(item, diff=False)] == [
        "    stage ranker/2: copy 3.2 KiB, compared with 1"
    ]
    found = as_json._stage(item)["files"]
    assert found == {
        "against": old.number,
        "added": [{"path": "assets/vocab.txt", "size_bytes": 1229}],
        "changed": [{"path": "saved_model.pb", "size_bytes": 2048}],
        "removed": [{"path": "variables/variables.index", "size_bytes": 100}],
        "same": {"count": 0, "size_bytes": 0},
    }


def test_many_files_are_counted() -> None:
    """Eight rows, then how many more; JSON has all of them."""
    files = tuple(ManifestFile(f"variables/{number:02}", 1, f"{number:064}") for number in range(12))
    new = replace(version("ranker", 2), manifest=Manifest(files))
    (item,) = planned(replace(V2, models=(replace(V2.models[0], versions=(new,)),))).stage
    rows = [text.plain for text in stage_lines(item, diff=True)]
    assert len(rows) == 1 + 8 + 1
    assert rows[-1] == "      and 6 files more"
    listed = as_json._stage(item)["files"]
    assert isinstance(listed, dict)
    assert len(listed["added"]) == 12


def test_a_first_version_lists_no_files() -> None:
    """Where there is nothing to hold it against, only what is copied is told."""
    seen = settled_host(V1)
    service = replace(seen.services["ranking"], versions=Present({}))
    plan = plan_host(sim_host("gpu1"), [V1], replace(seen, services={"ranking": service}), stamp="T1")
    (item,) = plan.services[0].stage
    assert [text.plain for text in stage_lines(item, diff=True)] == ["    stage ranker/1: copy 200 B"]


def test_what_is_linked_may_be_another_version() -> None:
    """Unchanged files come from the version that shares most; the difference is told against the one that is served."""
    seen = settled_host(V1)
    near = replace(version("ranker", 3), manifest=version("ranker", 9).manifest)
    there = {1: on_disk(version("ranker", 1)), 3: on_disk(near)}
    service = replace(seen.services["ranking"], versions=Present({"ranker": there}))
    host = replace(seen, services={"ranking": service})
    (item,) = plan_host(sim_host("gpu1"), [desired(9)], host, stamp="T1").services[0].stage
    assert (
        next(stage_lines(item, diff=True)).plain
        == "    stage ranker/9: copy 0 B, the rest linked from 3, compared with 1"
    )


# The container


def test_flags_that_differ() -> None:
    """A changed flag with both values, an added and a removed one; no other word of the command line."""
    before = wish(V1, flags={"num_load_threads": "4", "enable_batching": "true"})
    after = wish(V1, flags={"num_load_threads": "8", "monitoring_config_file": "/config/monitoring"})
    assert fields(planned(after, before)) == [
        "container.command: ---enable_batching=true",
        "container.command: --num_load_threads=4 -> --num_load_threads=8",
        "container.command: +--monitoring_config_file=/config/monitoring",
    ]


def test_variables_that_differ() -> None:
    """The same for the environment, with what its names give away masked."""
    before = wish(V1, environment={"LEVEL": "1", "GONE": "x", "API_TOKEN": "old one"})
    after = wish(V1, environment={"LEVEL": "0", "NEW": "a=b", "API_TOKEN": "new one"})
    plan = planned(after, before)
    assert sorted(fields(plan)) == [
        "container.environment: +NEW=a=b",
        "container.environment: -GONE=x",
        "container.environment: API_TOKEN=*** -> API_TOKEN=*** (a secret changed)",
        "container.environment: LEVEL=1 -> LEVEL=0",
    ]
    assert not any("one" in line for line in lines(plan))


def test_a_secret_that_changed_is_not_shown() -> None:
    """Of two secrets only the one that changed is told, without its value."""

    def secret(value: str) -> Secret:
        return Secret(lambda: value, note=lambda _: None, where="here")

    before = wish(V1, environment={"ONE": secret("first value"), "TWO": secret("second value")})
    after = wish(V1, environment={"ONE": secret("first value"), "TWO": secret("third value")})
    assert fields(planned(after, before)) == ["container.environment: TWO=<secret> -> TWO=<secret> (a secret changed)"]


def test_fields_of_one_value() -> None:
    """Image, user and memory with both values; ports and mounts by the one that differs."""
    after = wish(V1, image="serving:2", user="1000:1000", base_dir=Path("/data"), ports=Ports(8500, 9501))
    seen = settled_host(V1)
    service = seen.services["ranking"]
    host = replace(seen, services={"ranking": service})
    plan = plan_host(sim_host("gpu1"), [after], host, stamp="T1").services[0]
    assert fields(plan) == [
        "container.image: serving:1 -> serving:2",
        "container.image_id: sha256:serving:1 -> (to be pulled)",
        "container.mounts: /srv/fleetdeploy/ranking/models:/models -> /data/ranking/models:/models",
        "container.mounts: /srv/fleetdeploy/ranking/config:/config -> /data/ranking/config:/config",
        "container.ports: REST 8501 on 10.0.0.0/8 -> REST 9501 on 10.0.0.0/8",
        "container.user: 65534:65534 -> 1000:1000",
    ]


@pytest.mark.parametrize("status", ["running", "exited"])
def test_json_has_the_same_by_entry(status: str) -> None:
    """Each field with both values whole, and the entries that differ; also where a stopped container is made anew."""
    after = wish(V1, flags={"num_load_threads": "8"}, environment={"NEW": "1"})
    seen = settled_host(V1)
    service = seen.services["ranking"]
    assert isinstance(service.container, Present)
    service = replace(service, container=Present(replace(service.container.value, status=status)))
    host = replace(seen, services={"ranking": service}, listening=Present((22,)))
    plan = plan_host(sim_host("gpu1"), [after], host, stamp="T1").services[0]
    assert plan.activation is (Activation.REPLACE if status == "running" else Activation.START)
    found = as_json._service(plan)["changes"]
    assert isinstance(found, list)
    by_name = {item["what"]: item for item in found}
    assert by_name["container.command"]["entries"] == [
        {"name": "--num_load_threads", "before": "--num_load_threads=2", "after": "--num_load_threads=8"}
    ]
    assert by_name["container.environment"]["entries"] == [{"name": "NEW", "before": None, "after": "NEW=1"}]
    assert "--num_load_threads=2" in by_name["container.command"]["before"]
    if status == "exited":
        assert next(container_lines(plan, diff=True)).plain.strip().startswith("container.command: ")

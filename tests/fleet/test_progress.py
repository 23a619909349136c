"""What a rollout tells while it goes on: how far copies are, and what the balancer counts, on real hosts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from fleetdeploy.domain.inventory import BalancerWish, Connection, Host
from fleetdeploy.domain.measured import CopyProgress
from fleetdeploy.domain.service import ModelWish, Ports, ServiceWish, VersionsWish
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.remote.fleet import SshFleet
from tests.fleet.faults.test_slow import slow
from tests.fleet.load import load, nothing_failed
from tests.fleet.onlooker import POOLS, available, machines, on, serves, tell
from tests.fleet.project import SERVICES, Project
from tests.fleet.remote.staging_files import FILES, stage_item, version

MIB = 1024 * 1024
SIZE = 16 * MIB
"""Several times what buffers on the way take in at once."""


def lab_host(lab: Lab, name: str) -> Host:
    at, paths = lab.host(name), lab.paths
    link = Connection(at.door_address, at.ssh_port, "root", paths.client_key, paths.known_hosts)
    return Host(name, link)


def test_a_copy_over_a_slow_link_is_told_second_by_second(
    lab: Lab, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """While a slow copy goes on its bytes grow, at about the link's rate, up to what is copied and no file more."""
    fleet, base = SshFleet(connect_timeout_s=10), PurePosixPath("/srv/progress-tests")
    request.addfinalizer(fleet.close)
    request.addfinalizer(lambda: on(lab, "gpu2", "rm", "-rf", str(base)))
    wish = ServiceWish(
        "ranking", lab.images[0], Ports(8500, 8501), "10.77.0.0/16",
        (ModelWish("ranker", tmp_path, VersionsWish((7,))),), base_dir=base,
    )  # fmt: skip
    files = fleet.session(lab_host(lab, "gpu2")).files(wish)
    shared = {**FILES, "assets/vocabulary": os.urandom(MIB)}
    files.stage(stage_item(version(tmp_path, 7, shared)))
    item = stage_item(version(tmp_path, 8, {**shared, "variables/data": os.urandom(SIZE)}), link_from=7)
    told: list[CopyProgress] = []
    with slow(lab, "gpu2", "24mbit"):
        files.stage(replace(item, copy_bytes=SIZE), progress=told.append)
    done = [copy.done_bytes for copy in told]
    assert {copy.total_bytes for copy in told} == {SIZE}
    assert done == sorted(done)
    assert done[-1] == SIZE
    assert len({bytes_ for bytes_ in done if 0 < bytes_ < SIZE}) >= 2, done
    assert 0 < min(copy.bytes_per_s for copy in told if copy.bytes_per_s) < 2 * 24_000_000 / 8, told


@pytest.mark.long
def test_traffic_is_told_from_what_the_balancer_counts(lab: Lab, served: Project) -> None:
    """Of the requests sent during a rollout most are in its samples, none twice, and none of them an error."""
    served.want(version=2)
    with load(served) as report:
        served.deploy("playbooks/at_once.yml", "--events", str(served.root / "told.jsonl"))
    nothing_failed(report)
    samples = [event for event in served.events() if event["kind"] == "traffic_sampled"]
    assert {name for sample in samples for name in sample["data"]["pools"]} == set(POOLS)
    counted = [pool for sample in samples for pool in sample["data"]["pools"].values()]
    assert {pool["errors"] for pool in counted} == {0}
    first, last = samples[0], samples[-1]
    since_s = first["time_s"] - max(pool["seconds"] for pool in first["data"]["pools"].values())
    requests = sum(pool["requests"] for pool in counted)
    rate = report["requests"] / report["duration_s"]
    assert 0.5 * rate * (last["time_s"] - since_s - 1) <= requests <= report["requests"] + len(samples)
    assert any(pool.get("answer_s", 0) > 0 for pool in counted)
    assert last["time_s"] > max(event["time_s"] for event in served.events() if event["kind"] == "host_finished")
    assert '"traffic_sampled"' in (served.root / "told.jsonl").read_text()
    serves(lab, 2)


@pytest.mark.long
def test_without_a_balancer_traffic_is_told_from_what_servers_count(lab: Lab, project: Project) -> None:
    """Of the requests sent to a server during a rollout most are in its service's samples, none twice and none of them
    an error, and on the report's page; before `metrics` is set there is no sample.
    """
    services = project.root / SERVICES
    services.write_text(services.read_text().partition("\nbalancer:")[0] + "\n")
    project.deploy("playbooks/at_once.yml")
    assert not any(event["kind"] == "traffic_sampled" for event in project.events())
    project.edit("    models:\n", "    metrics: true\n    models:\n")
    project.deploy("playbooks/at_once.yml")
    project.want(version=2)
    with load(project, host="gpu1") as report:
        project.deploy("playbooks/at_once.yml")
    nothing_failed(report)
    samples = [event for event in project.events() if event["kind"] == "traffic_sampled"]
    assert {tuple(sample["data"]["services"]) for sample in samples} == {("ranking",)}
    assert {tuple(sample["data"]["pools"]) for sample in samples} == {()}
    counted = [sample["data"]["services"]["ranking"] for sample in samples]
    assert {item["errors"] for item in counted} == {0}
    since_s = samples[0]["time_s"] - counted[0]["seconds"]
    requests, rate = sum(item["requests"] for item in counted), report["requests"] / report["duration_s"]
    span_s = samples[-1]["time_s"] - since_s
    assert 0.5 * rate * (span_s - 1) <= requests <= 1.5 * rate * (span_s + 1)
    assert any(0 < item.get("answer_s", 0) < 5 for item in counted)
    project.run("runs", "report", "-o", str(project.root / "run.html"))
    assert "Service ranking, as its servers count" in (project.root / "run.html").read_text(encoding="utf-8")
    assert [available(lab, name) for name in machines(lab)] == [[2]] * 3


@pytest.mark.long
@pytest.mark.without_load("every host is taken out by hand: there is nobody to answer")
def test_requests_that_nobody_answers_are_errors(lab: Lab, served: Project) -> None:
    """What the balancer answers with 503, as all its servers are out, is counted as requests and as errors."""
    fleet = SshFleet(hosts={"lb": lab_host(lab, "lb")}, connect_timeout_s=10)
    balancer = fleet.balancer(BalancerWish("haproxy", "lb", "/run/haproxy/admin.sock", "gpu1", {"ranking": POOLS}))
    url = f"http://{lab.host('lb').address}:8501/v1/models/ranker"
    try:
        before = balancer.load(POOLS)["ranking_rest"]
        assert {on(lab, "gpu1", *_status(url)) for _ in range(5)} == {"200"}
        well = balancer.load(POOLS)["ranking_rest"].since(before)
        assert (well.requests, well.errors) == (5, 0)
        for name in machines(lab):
            tell(lab, name, "maint")
        before = balancer.load(POOLS)["ranking_rest"]
        assert {on(lab, "gpu1", *_status(url)) for _ in range(4)} == {"503"}
        failed = balancer.load(POOLS)["ranking_rest"].since(before)
        assert (failed.requests, failed.errors) == (4, 4)
    finally:
        for name in machines(lab):
            tell(lab, name, "ready")
        fleet.close()


def _status(url: str) -> list[str]:
    return ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", url]

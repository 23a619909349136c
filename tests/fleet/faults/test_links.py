"""Faults between the controller and its hosts: links that break, go silent or carry what nobody asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.faults.means import cut_sessions, first_copy_spoiled, held_in_rsync, partitioned, rounds
from tests.fleet.load import lost_only_on
from tests.fleet.onlooker import drained, everything, identity, machines, most_out, on, serves, traffic
from tests.fleet.project import DIRECTORY, INVENTORY, Project
from tests.fleet.test_deploy_interrupted import converges

CUT_OFF = "requests are on their way to a host, or back, when its link falls silent"


@pytest.mark.fault("F5")
@pytest.mark.parametrize("task", rounds(["activate", "undrain", "drain", "verify"], in_ci=1))
def test_a_link_that_breaks_in_a_step(lab: Lab, served: Project, task: str) -> None:
    """When a host's sessions end in a step, what happened is read back: it goes on or goes back, and says which."""
    served.want(version=2, image="fleetdeploy/standin:1.1")
    with most_out(lab) as out:
        started = served.deploy_until(kind="step_started", task=task, host="gpu1")
        cut_sessions(lab, "gpu1")
        result = started.end()
        assert result.code in {0, 3}, str(result)
        if result.code == 3:
            assert "gpu1" in result.last_line
            serves(lab, 1)
        else:
            serves(lab, 2)
        assert drained(lab) == []
        converges(lab, served, 2)
    assert max(map(len, out)) <= 1, out


@pytest.mark.fault("F22")
def test_a_copy_that_breaks_is_begun_again(lab: Lab, served: Project) -> None:
    """An rsync that ends in the middle is tried again, and what arrives is whole: the deploy says nothing of it."""
    served.want(version=2)
    with first_copy_spoiled(lab, "gpu2", "head -c 64 >/dev/null; exit 12"):
        served.deploy()
    serves(lab, 2)


@pytest.mark.long
@pytest.mark.fault("F22")
def test_a_copy_that_never_arrives_whole_changes_nothing(lab: Lab, served: Project) -> None:
    """An rsync that breaks each time fails its host with rsync's own word for it, before anything is switched over."""
    served.want(version=2)
    with held_in_rsync(lab, "gpu2", then="head -c 64 >/dev/null; exit 12") as copy:
        copy.let_go()
        result = served.deploy(expect=3)
    assert "rsync ended with status 12" in result.stderr
    assert on(lab, "gpu2", "ls", "-A", f"{DIRECTORY}/models/ranker").split() == ["1"]
    serves(lab, 1)
    converges(lab, served, 2)


@pytest.mark.fault("F23")
def test_a_source_that_changes_while_it_is_copied_is_refused(lab: Lab, served: Project) -> None:
    """A file that changes on the controller in the middle of the copy is named, and no version gets in place."""
    served.want(version=2)
    source = served.root / INVENTORY / "models/ranker/2/saved_model.pb"
    with held_in_rsync(lab, "gpu2") as copy:
        started = served.start("deploy")
        copy.wait()
        content = bytearray(source.read_bytes())
        content[len(content) // 2] ^= 1
        source.unlink()  # it is a link to what all labs share
        source.write_bytes(content)
        copy.let_go()
        result = started.end()
    assert result.code == 3, str(result)
    assert "the source changed after it was read" in result.stderr
    assert str(source.relative_to(served.root)) in result.stderr
    assert on(lab, "gpu2", "ls", "-A", f"{DIRECTORY}/models/ranker").split() == ["1"]
    serves(lab, 1)


@pytest.mark.fault("F28")
def test_half_the_fleet_out_of_reach_stops_the_run_before_it_begins(lab: Lab, served: Project) -> None:
    """With two of three hosts out of reach the run ends with 5, names both, and has touched nothing anywhere."""
    served.want(version=2)
    with lost_only_on(lab, served, "gpu2", "gpu3", rule=CUT_OFF):
        with partitioned(lab, "gpu2"), partitioned(lab, "gpu3"):
            before = everything(lab)
            result = served.deploy("--timeout", "2s", expect=5)
            assert everything(lab) == before
        in_service = {host: {"UP"} for host in machines(lab)}
        wait_until(lambda: traffic(lab) == in_service, "the balancer finds both again", deadline_s=60)
    assert "gpu2, gpu3: unreachable" in result.stderr
    converges(lab, served, 2)


@pytest.mark.long
@pytest.mark.fault("F29")
def test_a_partition_between_waves_stops_the_rollout_and_the_next_run_goes_on_there(lab: Lab, served: Project) -> None:
    """A host that goes silent before its wave stops the rollout; what is finished stays, and is not done again."""
    served.want(version=2, image="fleetdeploy/standin:1.1")
    with lost_only_on(lab, served, "gpu2", rule=CUT_OFF):
        started = served.deploy_until("--timeout", "4s", kind="step_finished", task="undrain", host="gpu1")
        with partitioned(lab, "gpu2"):
            result = started.end()
            assert result.code == 4, str(result)
            assert "gpu2; the fleet is mixed: gpu1 changed" in result.last_line
            finished = identity(lab, "gpu1")
        # It owes what gpu1 has: no request reaches it before it has that, too.
        wait_until(lambda: traffic(lab)["gpu2"] == {"DRAIN"}, "the balancer finds gpu2 again", deadline_s=20)
        served.deploy()
    serves(lab, 2)
    assert identity(lab, "gpu1") == finished, "it was finished, and is not touched again"
    assert served.deploy().last_line == "OK: 3 hosts, nothing to do"


NOISE = """
printf 'Welcome to gpu2\\n0000000000000000 docker ok 2\\n{}\\n\\033[2J\\0\\377'
printf '%s\\n' 'fleetdeploy says hello' >&2
"""


@pytest.fixture
def noisy(lab: Lab) -> Iterator[str]:
    """gpu2's shells print what nobody asked for, before every command."""
    put = "cat >/root/.bashrc"
    lab.run_on("gpu2", ["sh", "-c", put], stdin=NOISE)
    yield "gpu2"
    on(lab, "gpu2", "rm", "-f", "/root/.bashrc")


@pytest.mark.fault("F36")
def test_a_host_whose_shells_talk_is_understood_all_the_same(lab: Lab, served: Project, noisy: str) -> None:
    """Banners, escape sequences and what looks like answers, printed by a host's start-up files, change nothing."""
    served.want(image="fleetdeploy/standin:1.1")
    result = served.deploy()
    assert "\033" not in result.text
    serves(lab, 1)
    assert served.deploy().last_line == "OK: 3 hosts, nothing to do"


@pytest.mark.long
@pytest.mark.fault("F36")
def test_a_copy_through_a_shell_that_talks_says_what_to_mend(lab: Lab, served: Project, noisy: str) -> None:
    """rsync's own protocol does not survive a shell that prints; the error names its start-up files."""
    served.want(version=2)
    result = served.deploy(expect=3)
    assert "start-up files on the host (.bashrc) print something" in result.stderr
    serves(lab, 1)


@pytest.mark.long
@pytest.mark.fault("F36")
def test_a_host_that_never_stops_talking_is_refused(lab: Lab, served: Project, noisy: str) -> None:
    """A host whose shells print without end is given up on in bounded memory, exit 5, and nothing is touched."""
    lab.run_on(noisy, ["sh", "-c", "cat >/root/.bashrc"], stdin="yes fleetdeploy\n")
    served.want(version=2)
    before = everything(lab, but=noisy)
    result = served.deploy(expect=5)
    assert noisy in result.stderr
    assert everything(lab, but=noisy) == before
    assert {host for host in machines(lab) if traffic(lab)[host] == {"UP"}} == set(machines(lab))

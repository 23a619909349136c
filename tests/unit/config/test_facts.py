"""``facts`` in conditions: what a look at a host shows, what it does not tell, and paths that lead nowhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest

from fleetdeploy.config.playbook import facts
from fleetdeploy.config.playbook.conditions import ConditionReader
from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.observed import (
    Absent,
    ContainerFacts,
    Disk,
    DockerFacts,
    Gpu,
    ObservedHost,
    ObservedService,
    Present,
    Release,
    State,
    Unknown,
    VersionOnDisk,
    VersionState,
)
from fleetdeploy.domain.playbook import When
from fleetdeploy.errors import InputError

HOST = Host("gpu1", Connection("gpu1"), {"least": 2, "word": "8.0"})
CONTAINER = ContainerFacts("fleetdeploy-ranking", "c1", "sha256:1", "running", {"token": "hush"}, 3)
SEEN = ObservedHost(
    "gpu1",
    docker=Present(DockerFacts("29.0", ("runc", "nvidia"))),
    gpus=Present((Gpu(0, "L40S", 48, 1, "8.9", "570.1", "GPU-1"), Gpu(1, "L40S", 48, 1, "8.9", "570.1", "GPU-2"))),
    addresses=Present(("10.0.0.1",)),
    listening=Present((22, 8500)),
    containers=Present((CONTAINER,)),
    services={
        "ranking": ObservedService(
            "ranking",
            container=Present(CONTAINER),
            release=Present(Release("r7", "ranking", "run", {}, {}, "", {})),
            versions=Present({"ranker": {7: VersionOnDisk(7, "", {}), 6: VersionOnDisk(6, "", {})}}),
            served={"ranker": Present((VersionState(7, State.AVAILABLE),)), "other": Unknown("no answer")},
            drained_by=Absent(),
            disk=Present(Disk(100, 5)),
        )
    },
    boot_id="b1",
)
BLIND = ObservedHost("gpu1", docker=Unknown("no socket"), gpus=Unknown("nvidia-smi failed"))


def holds(text: str, seen: ObservedHost = SEEN) -> bool:
    reader = ConditionReader()
    assert reader.problem(When(text)) is None
    assert reader.asks_for_facts(When(text))
    return reader.holds(When(text), HOST, facts.facts_of(seen))


@pytest.mark.parametrize(
    "text",
    [
        "facts.gpus | length >= least",
        "facts.gpus[1].driver == '570.1' and facts.gpus[-1].memory_bytes == 48",
        "facts['gpus'][0]['name'] == 'L40S'",
        "(facts.gpus | first).uuid == 'GPU-1'",
        "facts.docker.version == '29.0' and 'nvidia' in facts.docker.runtimes",
        "'10.0.0.1' in facts.addresses and 22 in facts.listening",
        "facts.boot_id == 'b1'",
        "facts.services.ranking.release == 'r7'",
        "facts.services.ranking.served.ranker[7] == 'AVAILABLE'",
        "facts.services.ranking.versions.ranker == [6, 7]",
        "facts.services.ranking.drained_by is none",
        "facts.services.ranking.disk.free_bytes == 100",
        "facts.services.ranking.container.running and facts.containers[0].restart_count == 3",
        "facts.services.elsewhere is not defined",
    ],
)
def test_what_was_seen(text: str) -> None:
    """Every part of a look can be asked for, beside the host's variables."""
    assert holds(text) is True


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("facts.gpus | length == 0", "facts.gpus is not known: nvidia-smi failed"),
        ("facts.gpus is defined", "facts.gpus"),
        ("facts.gpus is none", "facts.gpus"),
        ("not facts.gpus", "facts.gpus"),
        ("facts.gpus | default([]) == []", "facts.gpus"),
        ("'gpus' in facts", "facts.gpus"),
        ("facts.docker.version is defined", "facts.docker is not known: no socket"),
        ("facts.boot_id == ''", "facts.boot_id"),
        ("true and facts.gpus[0].driver == 'x'", "facts.gpus"),
    ],
)
def test_what_could_not_be_read_is_never_a_no(text: str, path: str) -> None:
    """Whatever a condition does with it, it gives no answer: it is neither absent nor false."""
    with pytest.raises(facts.Unreadable, match=re.escape(path)):
        holds(text, BLIND)


def test_what_is_not_asked_for_does_not_matter() -> None:
    """One reading that failed says nothing about the others, and is no error where nobody comes to it."""
    seen = replace(SEEN, gpus=Unknown("broken"))
    assert holds("facts.docker.version == '29.0' or facts.gpus | length > 0", seen)
    with pytest.raises(facts.Unreadable, match=r"facts\.services\.ranking\.served\.other is not known: no answer"):
        holds("facts.services.ranking.served.other == {}")


def test_what_is_absent_is_none() -> None:
    """A host without GPUs has an empty list of them; anything else that is not there is none."""
    bare = replace(SEEN, gpus=Absent(), docker=Absent(), services={"ranking": ObservedService("ranking")})
    assert holds("facts.gpus == [] and facts.docker is none and facts.services.ranking.container is none", bare)
    with pytest.raises(InputError, match="null has no 'version'"):
        holds("facts.docker.version == '1'", bare)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("facts.gpu | length > 1", "there is no facts.gpu\n    did you mean 'gpus'?"),
        ("facts.gpus.driver == 'x'", "there is no facts.gpus.driver\n    facts.gpus is a list: facts.gpus[0]"),
        ("facts.gpus[0].drivr == 'x'", "there is no facts.gpus[0].drivr\n    did you mean 'driver'?"),
        ("facts['docker']['versoin'] == 'x'", "there is no facts.docker.versoin\n    did you mean 'version'?"),
        ("facts.boot_id.x == 'x'", "there is no facts.boot_id.x\n    facts.boot_id has nothing below it"),
        ("facts.services.ranking.relase is none", "did you mean 'release'?"),
        ("facts.services.ranking.container.labels == {}", "there is no facts.services.ranking.container.labels"),
        ("facts[0] == 1", "there is no facts[0]"),
    ],
)
def test_paths_that_lead_nowhere(text: str, words: str) -> None:
    """A path that is written out and is not in the tree is told without any host."""
    assert words in str(ConditionReader().problem(When(text)))


def test_what_the_page_says_is_there() -> None:
    """Every path that is documented can be asked for, and gives something on a host that has everything."""
    paths = [path.replace("SERVICE", "ranking").replace("MODEL", "ranker") for path, _ in facts.lines()]
    assert len(paths) > 30
    seen = replace(SEEN, services={"ranking": replace(SEEN.services["ranking"], drained_by=Present("run-1"))})
    for path in paths:
        assert holds(f"{path} is defined and {path} is not none", seen), path


def test_a_look_and_the_tree_have_the_same_names() -> None:
    """What is there can be asked for by a path that the tree knows, at every place but behind names and numbers."""

    def compare(value: object, place: facts.Fact) -> None:
        if place.keys:
            assert isinstance(value, Mapping)
            assert set(value) == set(place.keys)
            for name, inner in place.keys.items():
                compare(value[name], inner)
        elif place.each is not None and isinstance(value, list):
            for item in value:
                compare(item, place.each)
        elif place.named == "SERVICE":
            assert isinstance(value, Mapping)
            assert place.each is not None
            compare(value["ranking"], place.each)

    seen = replace(SEEN, services={"ranking": replace(SEEN.services["ranking"], drained_by=Present("run-1"))})
    compare(facts.facts_of(seen), facts.TREE)


@pytest.mark.parametrize(
    ("text", "moves"),
    [
        ("facts.gpus | length > 1 and facts.boot_id == 'x'", False),
        ("facts.services.ranking.release is none", True),
        ("facts.gpus == [] or 8500 in facts.listening", True),
        ("facts[least] == 1", True),
        ("'gpus' in facts", True),
    ],
)
def test_what_a_run_changes_is_known(text: str, moves: bool) -> None:
    """GPUs stay what they are while models change; what cannot be told is held for something that changes."""
    assert ConditionReader().moves(When(text)) is moves


def test_variables_of_other_tools_are_pointed_here() -> None:
    """Who looks for Ansible's name is told ours."""
    assert not ConditionReader().asks_for_facts(When("ansible_facts.x == 1"))
    with pytest.raises(InputError) as caught:
        ConditionReader().holds(When("ansible_facts.x == 1"), HOST)
    assert "fleetdeploy docs facts" in caught.value.problems[0].hint


def test_nothing_in_the_tree_can_be_changed_or_called() -> None:
    """Methods of what a look holds are out of reach, as everywhere in conditions."""
    for text in ("facts.items() == 1", "facts.gpus.append(1) == 1", "facts._found == 1"):
        reader = ConditionReader()
        with pytest.raises(InputError):
            reader.holds(When(text), HOST, facts.facts_of(SEEN))

"""Host patterns: Ansible's results, and refusal where Ansible goes on with fewer or more hosts than meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.config.inventory.patterns import select, split
from fleetdeploy.domain.inventory import Inventory
from fleetdeploy.errors import PatternError

from .conftest import Write

CASES = Path(__file__).parent / "cases" / "ansible"


def recorded() -> list[tuple[str, str, str]]:
    found = []
    for case in sorted(CASES.iterdir()):
        patterns = json.loads((case / "ansible.json").read_text())["patterns"]
        found += [(case.name, pattern, hosts) for pattern, hosts in patterns.items()]
    assert len(found) > 80
    return found


@pytest.fixture(scope="module")
def inventories() -> dict[str, Inventory]:
    return {case.name: load_inventory([case / "hosts.yml"]) for case in CASES.iterdir()}


@pytest.fixture(scope="module")
def diamond(inventories: dict[str, Inventory]) -> Inventory:
    return inventories["diamond"]


@pytest.mark.parametrize(("case", "pattern", "hosts"), recorded())
def test_same_hosts_as_ansible(case: str, pattern: str, hosts: str, inventories: dict[str, Inventory]) -> None:
    """A pattern names the hosts that Ansible names, in Ansible's order, as recorded from ``ansible-core``."""
    assert " ".join(select(inventories[case], pattern)) == hosts


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("wbe", "'wbe' is neither a group nor a host"),
        ("web:wbe", "'wbe' is neither a group nor a host (in the pattern 'web:wbe')"),
        ("all:!wbe", "'wbe' is neither a group nor a host"),
        ("all:&wbe", "'wbe' is neither a group nor a host"),
        ("all:!x*", "'x*' matches no group and no host"),
        ("~^q", "'~^q' matches no group and no host"),
        ("all:!region:!lone", "matches no host"),
        ("spare", "the pattern 'spare' matches no host"),
        ("web:&cache", "matches no host"),
        ("web[9]", "'web[9]' in the pattern 'web[9]' selects none of the 3 hosts of 'web'"),
        ("web[-9]", "selects none of the 3 hosts"),
        ("web[2:1]", "selects none of the 3 hosts"),
        ("web[0-1]", "ranges are not written with `-`"),
        ("~(", "~( is not a regular expression"),
        ("", "the pattern is empty"),
        (" , ", "the pattern is empty"),
        ("all:!", "'!' in the pattern 'all:!' is not followed by a name"),
        ("all:!!web", "is not followed by a name"),
        ("web[0", "unmatched bracket"),
        ("localhost", "'localhost' is neither a group nor a host"),
        ("WEB", "'WEB' is neither a group nor a host"),
    ],
)
def test_refused(pattern: str, message: str, diamond: Inventory) -> None:
    """A pattern that names nothing, in any of its terms, is an error: never fewer hosts, never more, never none."""
    with pytest.raises(PatternError) as caught:
        select(diamond, pattern)
    assert message in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_nearest_name(diamond: Inventory) -> None:
    """The error suggests the host or group that was probably meant, capital letters aside."""
    for typed, meant in (("wbe", "web"), ("chace", "cache"), ("WEB", "web"), ("10.1.0.77", "10.1.0.7")):
        with pytest.raises(PatternError) as caught:
            select(diamond, typed)
        assert f"did you mean {meant!r}?" in caught.value.hint


def test_limit_narrows(diamond: Inventory) -> None:
    """A limit takes hosts away and keeps the order of the pattern."""
    assert select(diamond, "db:web", limit="w1:w3:dx") == ("dx", "w3", "w1")
    assert select(diamond, "web", limit="!w1") == ("w2", "w3")


def test_limit_never_empties_in_silence(diamond: Inventory) -> None:
    """A limit that leaves nothing, or names something unknown, is an error."""
    with pytest.raises(PatternError, match="in both the pattern 'web' and the limit 'cache'"):
        select(diamond, "web", limit="cache")
    with pytest.raises(PatternError, match="'w9' is neither a group nor a host"):
        select(diamond, "web", limit="w1,w9")
    with pytest.raises(PatternError, match="the limit is empty"):
        select(diamond, "web", limit="")


def test_host_list_file(diamond: Inventory, tmp_path: Path) -> None:
    """``@file`` stands for the hosts on its lines; blank lines and comments do not count."""
    path = tmp_path / "deploy.retry"
    path.write_text("w1\n\n# a comment\ndb:!w3\n")
    assert select(diamond, f"@{path}") == ("w1", "dx", "dy", "dz")
    assert select(diamond, "web", limit=f"@{path}") == ("w1",)
    assert select(diamond, f"edge,@{path}") == ("edge", "w1", "dx", "dy", "dz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the host list is empty"),
        ("@other\n", "cannot name another one"),
        ("w9\n", "'w9' is neither"),
        (None, "no such host list"),
    ],
)
def test_bad_host_list_file(text: str | None, message: str, diamond: Inventory, tmp_path: Path) -> None:
    """A host list that is missing, empty, nested or names unknown hosts is refused."""
    path = tmp_path / "list"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PatternError, match=message):
        select(diamond, f"@{path}")


def test_split() -> None:
    """Commas win over colons; brackets, and addresses with colons, stay whole."""
    assert split("a:b[0:2]:!c") == ("a", "b[0:2]", "!c")
    assert split("a, b[0:2] ,~x:y") == ("a", "b[0:2]", "~x:y")
    assert split("fe80::1") == ("fe80::1",)


NAMES = st.sampled_from(["web", "db", "cache", "east", "west", "region", "all", "w*", "~.*[13]", "edge", "lone"])


DIAMOND = load_inventory([CASES / "diamond/hosts.yml"])


@given(NAMES, NAMES)
def test_pattern_algebra(a: str, b: str) -> None:
    """Union, intersection and exclusion are those of sets, and the order of operands does not change the set."""
    inventory = DIAMOND
    left, right = set(select(inventory, a)), set(select(inventory, b))
    assert set(select(inventory, f"{a},{b}")) == left | right == set(select(inventory, f"{b},{a}"))
    for pattern, expected in ((f"{a},&{b}", left & right), (f"&{b},{a}", left & right), (f"{a},!{b}", left - right)):
        if expected:
            assert set(select(inventory, pattern)) == expected
        else:
            with pytest.raises(PatternError):
                select(inventory, pattern)


def test_home_that_is_not_known(diamond: Inventory) -> None:
    """A ``~user`` that does not exist is a missing file, not a failure."""
    with pytest.raises(PatternError, match="no such host list"):
        select(diamond, "@~nobody-has-this-name/list")


GPUS = """
gpu:
  hosts:
    a1: {gpus: {count: 8, model: "NVIDIA A100-SXM4-80GB", memory: 80GiB, compute_capability: "8.0"}}
    a2: {gpus: {count: 4, model: "NVIDIA A100-PCIE-40GB", memory: 40GiB, compute_capability: "8.0"}}
    l1: {gpus: {count: 2, model: "NVIDIA L40S", memory: 48GB, compute_capability: "8.9"}}
    h1: {gpus: {count: 8, model: "NVIDIA H100", memory: 80GiB, compute_capability: "10.0"}}
    part: {gpus: {count: 1}}
web: {hosts: {w1: , a1: }}
"""


@pytest.fixture(scope="module")
def gpu_fleet(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    path = tmp_path_factory.mktemp("gpus") / "hosts.yml"
    path.write_text(GPUS)
    return load_inventory([path])


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("gpu:memory>=40GiB", "a1 a2 l1 h1"),
        ("gpu:memory>40GiB", "a1 l1 h1"),
        ("gpu:memory<48GB", "a2"),
        ("gpu:count>=4", "a1 a2 h1"),
        ("gpu:count=8", "a1 h1"),
        ("gpu:count!=8", "a2 l1 part"),
        ("gpu:model=A100*", "a1 a2"),
        ("gpu:model=nvidia a100*", "a1 a2"),
        ("gpu:model=*", "a1 a2 l1 h1"),
        ("gpu:model!=A100*", "l1 h1"),
        ("gpu:compute_capability>=8.9", "l1 h1"),
        ("gpu:compute_capability<10.0", "a1 a2 l1"),
        ("web:&gpu:count>=4", "a1"),
        ("web,&gpu:count>=4", "a1"),
        ("gpu:count>=4:web", "a1 a2 h1 w1"),
        ("gpu:count>=4:!web", "a2 h1"),
        ("all:!gpu:count>=4", "w1 l1 part"),
        ("gpu:model=A100*,gpu:model=L40S,!a1", "a2 l1"),
        ("gpu:memory>=40GiB:&gpu:count>=8", "a1 h1"),
        ("gpu:gpu:count>=8", "a1 a2 l1 h1 part"),
        ("gpu:web", "a1 a2 l1 h1 part w1"),
        ("gpu", "a1 a2 l1 h1 part"),
    ],
)
def test_gpu_selectors(pattern: str, hosts: str, gpu_fleet: Inventory) -> None:
    """Hosts are chosen by what they declare, in any place of a pattern; a group called ``gpu`` keeps its meaning."""
    assert set(select(gpu_fleet, pattern)) == set(hosts.split())


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("gpu:memory>=900GiB", "'gpu:memory>=900GiB' matches none of the 5 hosts that declare `gpus`"),
        ("gpu:model=A1000", "matches none"),
        ("all:!gpu:count>99", "matches none"),
        ("gpu:memroy>=40GiB", "GPUs have no 'memroy'"),
        ("gpu:memory>=40", "'40' is not a size"),
        ("gpu:memory>=40XB", "'40XB' is not a size"),
        ("gpu:count>=many", "'many' is not a number of GPUs"),
        ("gpu:compute_capability>=8", "'8' is not a compute capability"),
        ("gpu:model>=A100", "not larger or smaller"),
        ("gpu:count>=", "'=' is not a number of GPUs"),
        ("gpu:count>=4:wbe", "'wbe' is neither a group nor a host"),
        ("gpu:memory>=40GiB:web,a1", "neither a group nor a host"),
    ],
)
def test_gpu_selectors_refused(pattern: str, message: str, gpu_fleet: Inventory) -> None:
    """A property, a value or a comparison that cannot be meant is an error, and so is one that no host has."""
    with pytest.raises(PatternError) as caught:
        select(gpu_fleet, pattern)
    assert message in str(caught.value)
    assert caught.value.hint


def test_gpu_selector_without_declarations(diamond: Inventory) -> None:
    """Hosts that declare no GPUs never match."""
    with pytest.raises(PatternError, match="matches none of the 0 hosts") as caught:
        select(diamond, "gpu:count>=1")
    assert "set the variable `gpus`" in caught.value.hint


FQDN = "gpu: {hosts: {gpu1.dc.example.net: , gpu2.dc.example.net: , web1.dc.example.net: , web1.lab.example.net: }}\n"


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("gpu1", "did you mean 'gpu1.dc.example.net'?"),
        ("GPU2", "did you mean 'gpu2.dc.example.net'?"),
        ("gpu3", "did you mean 'gpu"),
        ("web1", "did you mean 'web1.dc.example.net' or 'web1.lab.example.net'?"),
        ("gpo2", "did you mean 'gpu2"),
    ],
)
def test_a_suggestion_is_never_more_than_was_named(typed: str, hint: str, write: Write) -> None:
    """For what is nearly a host, a host is suggested: a group would be all of them."""
    inventory = load_inventory([write({"hosts.yml": FQDN})])
    with pytest.raises(PatternError) as caught:
        select(inventory, typed)
    assert caught.value.hint.startswith(hint)
    assert "'gpu'" not in caught.value.hint


@pytest.mark.parametrize(
    ("typed", "hint"),
    [("gpus", "did you mean 'gpu' (a group) or 'gpu"), ("wbe1", "did you mean 'web1."), ("web", "did you mean 'web1.")],
)
def test_a_word_that_is_nearer_to_a_group(typed: str, hint: str, write: Write) -> None:
    """A word without a number is first told the group it is most like, which is called one, then the nearest host."""
    inventory = load_inventory([write({"hosts.yml": FQDN})])
    with pytest.raises(PatternError) as caught:
        select(inventory, typed)
    assert caught.value.hint.startswith(hint)


def test_a_regular_expression_without_end(diamond: Inventory) -> None:
    """It is refused before it is tried on any name."""
    with pytest.raises(PatternError, match="might never come to an end") as caught:
        select(diamond, "~(a+)+$")
    assert "sets only" in caught.value.hint

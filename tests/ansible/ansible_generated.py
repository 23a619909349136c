"""Inventories by seed: random trees of groups, as YAML and as INI, with variables at every level, and patterns."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from ansible_asking import Case

SEEDS = range(24)
_VALUES = (1, 2.5, True, None, "text", "two words", [1, 2], {"a": 1}, "012", "1.10")


def generated_cases() -> Iterator[Case]:
    """One case a seed, every second one written as INI."""
    for seed in SEEDS:
        yield _case(seed)


def _case(seed: int) -> Case:
    chance = random.Random(seed)
    hosts = [f"h{number:02d}" for number in range(chance.randint(3, 12))]
    groups = [f"g{letter}" for letter in "abcdefg"[: chance.randint(2, 7)]]
    members = {group: chance.sample(hosts, chance.randint(0, min(4, len(hosts)))) for group in groups}
    # A group's children come after it, so that there are diamonds and no loops.
    children = {
        group: chance.sample(groups[index + 1 :], min(len(groups) - index - 1, chance.randint(0, 2)))
        for index, group in enumerate(groups)
    }
    variables = {group: _variables(chance, group) for group in ("all", *groups)}
    if chance.random() < 0.5:
        variables[chance.choice(groups)]["ansible_group_priority"] = chance.randint(2, 20)
    own = {host: _variables(chance, host) for host in chance.sample(hosts, 2)}
    write = _ini if seed % 2 else _yaml
    name = "hosts" if seed % 2 else "hosts.yml"
    files = {name: write(hosts, groups, members, children, variables, own)}
    for group in chance.sample(groups, 2):
        files[f"group_vars/{group}.yml"] = json.dumps(_variables(chance, f"file of {group}"))
    files[f"host_vars/{hosts[0]}.json"] = json.dumps(_variables(chance, "file"))
    files["group_vars/all/one.yml"] = json.dumps(_variables(chance, "all one"))
    files["group_vars/all/two.yml"] = json.dumps(_variables(chance, "all two"))
    return Case(
        f"seed{seed}",
        files,
        sources=(name,),
        patterns=tuple(_patterns(chance, hosts, groups)),
        questions=("list", "graph_vars"),
    )


def _variables(chance: random.Random, place: str) -> dict[str, object]:
    names = chance.sample(["va", "vb", "vc", "vd", "ve"], chance.randint(1, 3))
    return {name: chance.choice([f"{name} of {place}", *_VALUES]) for name in names}


def _patterns(chance: random.Random, hosts: list[str], groups: list[str]) -> Iterator[str]:
    names = [*hosts, *groups, "all", "h0*", "g?", "~h.*[02468]", "h0[02]*"]
    for _ in range(6):
        yield chance.choice([":", ","]).join(chance.sample(names, chance.randint(1, 3)))
    first, second = chance.sample(hosts, 2)
    yield f"all:!{first}"
    yield f"{second},{first}"
    yield f"all:&{first}:!{second}"
    yield "all[0]"
    yield "all[1:]"
    yield "all[-1]"


def _yaml(
    hosts: list[str],
    groups: list[str],
    members: dict[str, list[str]],
    children: dict[str, list[str]],
    variables: dict[str, dict[str, object]],
    own: dict[str, dict[str, object]],
) -> str:
    tree: dict[str, object] = {"all": {"hosts": {host: own.get(host) for host in hosts}, "vars": variables["all"]}}
    for group in groups:
        tree[group] = {
            "hosts": dict.fromkeys(members[group]),
            "children": {child: {} for child in children[group]},
            "vars": variables[group],
        }
    return json.dumps(tree, indent=1)


def _ini(
    hosts: list[str],
    groups: list[str],
    members: dict[str, list[str]],
    children: dict[str, list[str]],
    variables: dict[str, dict[str, object]],
    own: dict[str, dict[str, object]],
) -> str:
    lines = [" ".join([host, *(f'{key}="{value!r}"' for key, value in own.get(host, {}).items())]) for host in hosts]
    for group in groups:
        lines += [f"[{group}]", *members[group]]
        if children[group]:
            lines += [f"[{group}:children]", *children[group]]
    for group in ("all", *groups):
        lines += [f"[{group}:vars]", *(f"{key} = {value!r}" for key, value in variables[group].items())]
    return "\n".join(lines) + "\n"

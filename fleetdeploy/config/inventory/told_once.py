"""One mistake in a variable of many hosts, told once: an expression can fail, or give a bad value, on each of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from fleetdeploy.errors import Problem

_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")


def of_expressions(found: Iterable[tuple[str, Problem]]) -> list[Problem]:
    """Problems of expressions with the hosts they failed on; the variables that a hint lists may differ by host."""
    hosts: dict[tuple[str, str], list[str]] = {}
    first: dict[tuple[str, str], Problem] = {}
    for host, problem in found:
        key = (problem.where, problem.message)
        hosts.setdefault(key, []).append(host)
        first.setdefault(key, problem)
    return [replace(problem, message=f"{_open(problem)}, {_on(hosts[key])}") for key, problem in first.items()]


def of_values(found: Iterable[tuple[str, Problem]]) -> list[Problem]:
    """Problems of values. Where one place gave every host another bad value, the first of them stands for all."""
    alike: dict[tuple[str, str], dict[Problem, list[str]]] = {}
    for host, problem in found:
        key = (problem.where, _VALUE.sub("", problem.message))
        alike.setdefault(key, {}).setdefault(problem, []).append(host)
    told: list[Problem] = []
    for problems in alike.values():
        problem = next(iter(problems))
        hosts = [host for some in problems.values() for host in some]
        if len(problems) == 1 or len(set(hosts)) < len(hosts):
            told += problems  # one and the same for all, or not the values of one variable
        else:
            told.append(replace(problem, message=f"{_open(problem)}, and the like {_on(hosts)}"))
    return told


def _open(problem: Problem) -> str:
    """The message as something may follow it: Jinja ends its own with a full stop."""
    text = problem.message
    return text if text.endswith("..") else text.removesuffix(".")


def _on(hosts: list[str]) -> str:
    names = list(dict.fromkeys(hosts))
    return f"on {names[0]}" if len(names) == 1 else f"on {len(names)} hosts such as {names[0]}"

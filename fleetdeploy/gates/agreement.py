"""Whether a service's file and its server's memory are what was meant. No server tells its list: each part is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from fleetdeploy.domain.observed import State
from fleetdeploy.domain.protocols import Serving
from fleetdeploy.domain.redaction import shortened
from fleetdeploy.errors import NotHealthy
from fleetdeploy.gates.readiness import CALL_S, describe
from fleetdeploy.planning.before import CONFIG_FILE
from fleetdeploy.tfserving.simulation import listed

_COMING_OR_THERE = frozenset({State.START, State.LOADING, State.AVAILABLE})


def check_file(found: str | None, meant: str, *, secret: bool) -> None:
    """Raise NotHealthy where the text on the host is not ``meant``. One that holds a secret is not quoted."""
    if found == meant:
        return
    if found is None:
        said = "is missing"
    elif secret:
        said = "is not the text that was meant (not shown: it holds a secret)"
    else:
        said = _first_difference(found, meant)
    raise NotHealthy(
        f"{CONFIG_FILE} on the host {said}: a server that starts again would not serve what this one does",
        hint="something else writes that file: find out what, then deploy again",
    )


def _first_difference(found: str, meant: str) -> str:
    pairs = zip_longest(found.splitlines(), meant.splitlines())
    number, (has, shall) = next(
        ((at, pair) for at, pair in enumerate(pairs, 1) if pair[0] != pair[1]), (1, ("another line end", "\\n"))
    )
    return f"reads {_quoted(has)} in line {number}, where {_quoted(shall)} was meant"


def _quoted(line: str | None) -> str:
    return "nothing" if line is None else f"{shortened(line.strip(), 120)!r}"


def check_memory(serving: Serving, meant: str, *, before: Sequence[str]) -> None:
    """Raise NotHealthy with all :func:`differences`."""
    found = tuple(differences(serving, meant, before=before))
    if found:
        raise NotHealthy(
            f"the server's memory is not what {CONFIG_FILE} says: {'; '.join(found)}",
            hint="something else reloads this server, or its last reload did not count; deploy again, and if that does "
            "not help, restart the container",
        )


def differences(serving: Serving, meant: str, *, before: Sequence[str] = ()) -> Iterator[str]:
    """What the server has against ``meant``, one clause each with both sides. Raises NotHealthy when it is silent.

    Asked are every label, and of the texts ``before`` that it may have had, the models and labels that shall be gone.
    Whether the versions of ``meant`` are AVAILABLE is waited for by :func:`await_available` and not asked here.
    """
    shall, had = listed(meant), [listed(text) for text in before]
    for model in gone_models(meant, before):
        states = serving.status(model, deadline_s=CALL_S)
        if any(entry.state in _COMING_OR_THERE for entry in states):
            yield f"{model} has {describe(states)} and shall be gone"
    for model, entry in shall.items():
        gone = {label for old in had if model in old for label in old[model].labels}
        for label in sorted(gone.union(entry.labels)):
            number, wanted = serving.label(model, label, deadline_s=CALL_S), entry.labels.get(label)
            if number != wanted:
                yield f"label {label} of {model} {_means(number)} and shall {_mean(wanted)}"


def gone_models(meant: str, before: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """The models of ``before`` that ``meant`` does not list, each with the versions that it shall have: none."""
    shall = listed(meant)
    return {model: () for text in before for model in sorted(listed(text)) if model not in shall}


def _means(number: int | None) -> str:
    return "is not known" if number is None else f"means version {number}"


def _mean(number: int | None) -> str:
    return "be gone" if number is None else f"mean version {number}"

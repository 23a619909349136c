"""Services of any shape, and hosts on which something was proven once and then anything happened."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from simulation.controller import config_text, desired
from simulation.seen import empty_host, settled_host

from fleetdeploy.domain.observed import Absent, ObservedHost, Present, State, VersionState
from fleetdeploy.domain.service import DesiredService

from .effects import SILENT, seen_of, steps, with_service

NUMBERS = st.lists(st.integers(1, 4), unique=True, min_size=1, max_size=3).map(lambda found: tuple(sorted(found)))
ACCIDENTS = (
    "stopped", "drained", "file gone", "file empty", "file of somebody else", "record gone", "container gone",
    "silent", "loading", "burnt", "version left memory",
)  # fmt: skip


@st.composite
def services(draw: st.DrawFn) -> DesiredService:
    """One to three models with some versions and labels, in one of two images, with one of two flags."""
    models, listed = {}, []
    for name in draw(st.lists(st.sampled_from(["embedder", "ranker", "tagger"]), min_size=1, unique=True)):
        models[name] = draw(NUMBERS)
        labels = draw(st.dictionaries(st.sampled_from(["canary", "stable"]), st.sampled_from(models[name])))
        listed.append((name, models[name], tuple(sorted(labels.items()))))
    image = draw(st.sampled_from(["serving:1", "serving:1", "serving:2"]))
    flags = draw(st.sampled_from([{}, {}, {"num_load_threads": "4"}]))
    service = desired(models=models, image=image, flags=flags)
    return replace(service, config_text=config_text(tuple(sorted(listed))))


@st.composite
def hosts(draw: st.DrawFn) -> ObservedHost:
    """A host that nobody has deployed to, or one on which something was proven once and then anything happened."""
    before = draw(services())
    if draw(st.integers(0, 4)) == 0:
        return empty_host(before)
    host = settled_host(before)
    for what in draw(st.lists(st.sampled_from(ACCIDENTS), max_size=2)):
        host = struck(host, what)
    return host


def struck(host: ObservedHost, what: str) -> ObservedHost:
    """The host after an accident."""
    seen = seen_of(host)
    silent = dict.fromkeys(seen.served, SILENT)
    model = min(seen.served)
    if what in {"stopped", "container gone"}:
        there = seen.container
        stopped = Present(replace(there.value, status="exited")) if isinstance(there, Present) else Absent()
        return with_service(host, container=stopped if what == "stopped" else Absent(), served=silent)
    if what in {"file gone", "file empty", "file of somebody else"}:
        text = "" if what == "file empty" else 'model_config_list { config { name: "theirs" base_path: "/x" } }'
        return with_service(host, config_text=Absent() if what == "file gone" else Present(text))
    if what in {"drained", "record gone"}:
        return with_service(host, **({"drained_by": Present("run-0")} if what == "drained" else {"release": Absent()}))
    if what == "silent":
        return with_service(host, served=silent)
    reading = seen.served[model]
    if not isinstance(reading, Present):
        return host
    state, error = {"loading": (State.LOADING, ""), "burnt": (State.END, "NOT_FOUND: no")}.get(what, (State.END, ""))
    first, *rest = reading.value
    said = (VersionState(first.number, state, error), *rest)
    return with_service(host, served={**seen.served, model: Present(said)})


def cut_off(host: ObservedHost, wanted: DesiredService, at: int) -> ObservedHost:
    """The host as a run that ended before its step ``at`` has left it; one with fewer steps has done all of them."""
    reached = [host, *steps(as_asked(host, wanted), wanted)]
    return reached[min(at, len(reached) - 1)]


def as_asked(host: ObservedHost, wanted: DesiredService) -> ObservedHost:
    """The same host, asked for the states of the models that are wanted now."""
    known = seen_of(host).served
    running = isinstance(seen_of(host).container, Present)
    unasked = Present(()) if running and any(isinstance(item, Present) for item in known.values()) else SILENT
    return with_service(host, served={model.name: known.get(model.name, unasked) for model in wanted.models})

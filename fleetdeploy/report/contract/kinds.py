"""Every kind of event: when it comes, and what it tells. Schema and documentation are made of this.

A key that is added, and a kind that is added, is no new ``format``; one that goes, or means something else, is.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.domain.events import FORMAT, Kind
from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.plan import Activation
from fleetdeploy.domain.watch import WatchState
from fleetdeploy.report.contract.outcome_schema import OUTCOMES
from fleetdeploy.report.contract.shape import ALWAYS, MAYBE, Shape
from fleetdeploy.report.schema_words import (
    boolean,
    by_name,
    count,
    described,
    exactly,
    items,
    number_of,
    one_of,
    or_null,
    text,
    with_optional,
)
from fleetdeploy.rollout.emitter import ANNOUNCING, FLEETING

_HOSTS = items(text(), "names of hosts")
_HINT = text("what to do; empty where nothing is known")
_SERVICE = text("the service that the step is for")
_UNDO = described({"const": True}, "there where the step is taken back")
_SECONDS = number_of("how long it took")
_WATCHED: Mapping[str, Schema] = {
    "service": text(),
    "release": text("the release that has to be confirmed"),
    "back_to": text("the release that the host goes back to"),
    "seconds": number_of("after so long without a confirmation"),
}
_POOL = with_optional(
    exactly(
        "What was counted in one pool since it was asked last.",
        requests=count("requests, or connections where the balancer passes on bytes"),
        errors=count("of them: answered with 5xx, by a server or the balancer, cut off, or not connected"),
        seconds=number_of("for so long"),
    ),
    answer_s=number_of("mean seconds until the first byte of recent answers, where the balancer knows it"),
)
_SERVERS = with_optional(
    exactly(
        "What the servers of one service counted since each was asked last.",
        requests=count("Predict, Classify and Regress, by gRPC or REST, but for those that a client is to blame for"),
        errors=count("of them: the server did not answer, and it was not the client's fault"),
        seconds=number_of("for so long; of more than 32 servers, which are asked in turns, in the mean"),
    ),
    answer_s=number_of("mean seconds inside the server, over all answers"),
)

KINDS: Mapping[Kind, Shape] = {
    Kind.RUN_STARTED: Shape(
        "The run begins. The first event of every run.",
        "the command line; values of -e are masked",
        data={
            "format": described({"const": FORMAT}, "the version of these events: all of this run's are of it"),
            "hosts": items(text(), "the hosts that the run is about"),
        },
        more={
            "argv": items(text(), "the command line, word by word"),
            "directory": text("where it was given"),
            "during_freeze": text("why it goes on in a freeze window, as it was given"),
            "by": text("who gave it: USER@MACHINE"),
            "extra_vars": items(text(), "names of variables given with -e"),
            "masked": items(text(), "those of which `argv` does not have the value"),
            "resumes": items(text(), "runs that it carries on, newest first"),
            "own": boolean("there where it is a command of a person's own, as by `run` and `exec`"),
            "whole": boolean("there where a host that ends well has nothing left to do"),
        },
        before=True,
    ),
    Kind.HOST_OBSERVED: Shape("A host was looked at before the plan was made.", host=ALWAYS),
    Kind.HOST_UNREACHABLE: Shape(
        "A host could not be looked at before the plan was made.", "why", host=ALWAYS, data={"hint": _HINT}
    ),
    Kind.PLAN_MADE: Shape(
        "All hosts were looked at, and what has to be done is known. Nothing was touched so far.",
        data={
            "changed": items(text(), "the hosts on which something will be done"),
            "expected_s": described(
                or_null({"type": "number"}),
                "how long runs before took for as much, in seconds; null where nobody knows",
            ),
        },
        more={
            "at_least": boolean("whether of some of it nobody knows, so that it is more than `expected_s`"),
            "plan": items(
                exactly(hosts=items(text()), lines=items(text())), "what is done, once for hosts that change alike"
            ),
            "releases": by_name(
                by_name(text("the hash of its content"), "service"), "what hosts are to be brought that is new to them"
            ),
        },
        before=True,
    ),
    Kind.LEASES_TAKING: Shape("The leases of the hosts with work are asked for.", data={"hosts": _HOSTS}, before=True),
    Kind.LEASES_TAKEN: Shape(
        "This run has them all; no other run changes these hosts.",
        data={"hosts": _HOSTS, "seconds": number_of("how long one holds without being renewed")},
        more={"without": items(text(), "hosts without work that share the capacity, whose lease cannot be taken")},
    ),
    Kind.PLAY_STARTED: Shape(
        "A play that has work begins.",
        "the play's name",
        data={
            "hosts": items(text(), "its hosts with work"),
            "may_fail": count("so many hosts may fail before it stops"),
        },
        more={"max_unavailable": count("so many hosts may be out of service at once, where it takes any out")},
        before=True,
    ),
    Kind.WAVE_STARTED: Shape(
        "A wave of the play begins.",
        "its hosts",
        data={"wave": count("its number, from 1"), "waves": count("how many there are"), "hosts": _HOSTS},
        before=True,
    ),
    Kind.STEP_STARTED: Shape(
        "A task is about to be done on a host, or to be taken back.",
        "what it will do",
        host=ALWAYS,
        task=ALWAYS,
        data={"service": _SERVICE},
        more={"undo": _UNDO},
        before=True,
    ),
    Kind.STEP_PROGRESS: Shape("A task tells how far it is.", "in words", host=ALWAYS, task=ALWAYS),
    Kind.COPY_PROGRESSED: Shape(
        "How far the copy of a version is, about once a second and host. Only shown, never written: it says nothing "
        "about the end, and a record costs a write to the disk.",
        host=ALWAYS,
        task=ALWAYS,
        data={
            "service": _SERVICE,
            "model": text(),
            "version": count("the version's number"),
            "done_bytes": count("what has arrived or is on its way; it never falls"),
            "total_bytes": count("what is copied: files that are linked are not in it"),
            "bytes_per_s": number_of("over the last second"),
        },
    ),
    Kind.STEP_FINISHED: Shape(
        "A task was done, or was taken back.",
        "what it did",
        host=ALWAYS,
        task=ALWAYS,
        data={"service": _SERVICE, "seconds": _SECONDS},
        more={
            "undo": _UNDO,
            "copy_bytes": count("what had to be copied, of `stage`"),
            "activation": one_of(
                *(item.value for item in Activation), description="how the server was changed, of `activate`"
            ),
        },
    ),
    Kind.STEP_FAILED: Shape(
        "A task failed on a host, or something between two tasks. The host is brought back into a safe state.",
        "why",
        host=ALWAYS,
        task=MAYBE,
        more={
            "hint": _HINT,
            "detail": text("last lines of what said so, such as of a container's log"),
            "service": _SERVICE,
            "undo": _UNDO,
            "stopped": described({"const": True}, "there where it is the run's end that stopped it, and no fault"),
        },
    ),
    Kind.WATCH_ARMING: Shape(
        "A host is about to be told to go back by itself unless it hears from this run.",
        host=ALWAYS,
        data=_WATCHED,
        before=True,
    ),
    Kind.WATCH_ARMED: Shape("The host counts down.", "when it goes back to what", host=ALWAYS, data=_WATCHED),
    Kind.WATCH_ENDING: Shape(
        "What counts down on a host is about to be ended.",
        host=ALWAYS,
        data={
            "service": text(),
            "how": one_of("confirm", "disarm", description="whether the release is confirmed, or given up"),
        },
        before=True,
    ),
    Kind.WATCH_ENDED: Shape(
        "It was ended, or is found to have ended by itself.",
        "how",
        host=ALWAYS,
        data={
            "service": text(),
            "state": one_of(*(state.value for state in WatchState), description="how it ended"),
            "watched": text("the run that armed it"),
            "release": text("the release that had to be confirmed"),
            "reason": text("why the host could not go back, where it could not"),
        },
    ),
    Kind.LEASE_LOST: Shape(
        "Another run has taken a host over; this one changes nothing more there.",
        "who has it",
        host=ALWAYS,
        data={"hint": _HINT},
    ),
    Kind.REVERT_STARTED: Shape("A host is taken back to what it served before.", "why", host=ALWAYS, before=True),
    Kind.CAPACITY_CHANGED: Shape(
        "Other hosts of the play are out of service than before.",
        data={
            "hosts": count("hosts of the whole play, whatever --limit leaves"),
            "out": items(text(), "those out of service now"),
            "floor": count("so many have to be in service"),
        },
    ),
    Kind.TRAFFIC_SAMPLED: Shape(
        "What balancers have counted, and servers that have no balancer and tell their metrics, about every 5 seconds "
        "of a run that changes such hosts, and at its end. Who does not answer is left out; what a balancer counts "
        "meanwhile is in its next sample, what a server does is not told.",
        data={"pools": by_name(_POOL, "by the pool's name; behind it its balancer where several have such a pool")},
        more={"services": by_name(_SERVERS, "by the service's name, golden requests of the run included")},
    ),
    Kind.HOST_FINISHED: Shape(
        "A host's part in a play is over.",
        "the reason, where it did not go well",
        host=ALWAYS,
        data={
            "state": one_of(*(state.value for state in HostState), description="how it ended"),
            "hint": _HINT,
        },
        more={"detail": text("last lines of what said so")},
    ),
    Kind.SOAK_STARTED: Shape(
        "Between two waves it is waited, to see whether what was changed serves on.",
        "for how long",
        data={"seconds": number_of("for how long")},
        before=True,
    ),
    Kind.ROLLOUT_STOPPED: Shape(
        "No further host is begun.", "why", host=MAYBE, data={"failures": count("hosts that have failed in this play")}
    ),
    Kind.DEBT_MAKING: Shape(
        "The balancer of a host that has missed what the run switched over to is told to send it nothing.",
        "why it has missed it",
        host=ALWAYS,
        before=True,
    ),
    Kind.DEBT_MADE: Shape(
        "A host has missed what the run switched over to; the next run that reaches it brings it there.",
        "what it owes, and what it may do until then",
        host=ALWAYS,
        data={
            "drained": boolean("whether its balancer sends it nothing until then"),
            "exposed": boolean("whether it may get requests with what it served before"),
        },
    ),
    Kind.DEBT_SETTLED: Shape(
        "A host has what it had missed.", "since when it owed", host=ALWAYS, data={"made_by": text("the run")}
    ),
    Kind.LEASES_RELEASING: Shape("The run lets go of its hosts.", data={"hosts": _HOSTS}, before=True),
    Kind.LEASES_RELEASED: Shape(
        "It has.", data={"hosts": _HOSTS, "left": items(text(), "hosts whose lease has to end by itself")}
    ),
    Kind.RUN_FINISHED: Shape(
        "The run is over. A run without it goes on, or was killed.",
        "the last line of the terminal",
        data={"exit_code": described({"type": "integer"}, "the command's")},
        more={
            "hosts": OUTCOMES,
            "again": text("the command that goes on from there; empty where nothing is left to do"),
            "refusal": text("all that was said where it was refused or failed, if that is more than the message"),
        },
    ),
    Kind.NOTIFIED: Shape(
        "Those whom the settings name were told how the run ended. It may come behind the run's end.",
        "who was told, and who was not",
        data={
            "told": items(text(), "by what somebody was told"),
            "failed": items(text(), "by what nobody was told, and why"),
        },
    ),
}


def announces(kind: Kind) -> bool:
    """Whether what the event tells of is not done where it cannot be written."""
    return kind in ANNOUNCING


def is_written(kind: Kind) -> bool:
    """Whether it stands in journals and in the file of ``--events``."""
    return kind not in FLEETING

"""The JSON Schema of what ``plan --json`` prints: every key, none of them left out, and no other.

Written by hand, beside the functions that make the values; tests hold real plans against it. A key that is added later
is no new ``format``; one that goes, or means something else, is.
"""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.domain.plan import Activation
from fleetdeploy.domain.server_changes import PhaseKind
from fleetdeploy.report.plan.as_json import FORMAT
from fleetdeploy.report.plan.course_schema import freeze, play, seconds, wave
from fleetdeploy.report.schema_words import (
    boolean,
    by_name,
    count,
    described,
    document,
    exactly,
    format_of,
    items,
    looked_at,
    number,
    one_of,
    or_null,
    ref,
    text,
)


def plan_schema() -> Schema:
    """The whole schema, in keywords that mean the same in draft 7 and in draft 2020-12."""
    return document(
        "fleetdeploy plan",
        "What `fleetdeploy plan --json` prints. Sizes are in bytes, times in seconds.",
        exactly(
            format=format_of(FORMAT),
            changed=boolean("whether a deploy with these tasks would do anything"),
            **looked_at(),
            plays=items(ref("play"), "plays with work, in their order"),
            refusals=items(ref("run_refusal"), "why the run as a whole would be refused"),
            **seconds(),
            freeze=or_null(freeze()),
        ),
        closed=True,
        host=_host(),
        service=_service(),
        change=_change(),
        stage=_stage(),
        file=exactly(path=text("relative to the version's directory"), size_bytes=count()),
        container=_container(),
        server=_server(),
        phase=_phase(),
        signatures=_signatures(),
        gpu_fit=_gpu_fit(),
        play=play(),
        wave=wave(),
        run_refusal=exactly(
            where=text("the place in the playbook, or a host"),
            message=text(),
            hint=text("what to do"),
            hosts=items(text(), "all hosts that stand in the way, where it is because of hosts"),
        ),
    )


# Hosts and services


def _host() -> Schema:
    return exactly(
        "One host.",
        changed=boolean("whether the tasks that were chosen would change anything on it"),
        refusals=items(exactly(message=text(), hint=text("what to do")), "why it would be refused; then no services"),
        services=by_name(ref("service"), "what happens to each of its services"),
        signatures=items(ref("signatures"), "served versions held against new ones"),
        gpu_fits=items(ref("gpu_fit"), "what models need of the host's GPUs"),
        further=items(text(), "work of the playbook beyond what services need, such as `prune: ranker/1`"),
        pending=items(
            exactly(service=text(), task=text("the task that would do it"), what=text("such as `reload, ...` and why")),
            "what services need and the tasks that were chosen do not do",
        ),
    )


def _service() -> Schema:
    return exactly(
        "One service on one host.",
        activation=one_of(
            *(item.value for item in Activation),
            description="how what it serves is to be changed, cheapest first; the host's `pending` says if it is not",
        ),
        reason=text("why it is that one"),
        release=text("the release it would be: the time of this plan, and a hash of its content behind the last dash"),
        pull_image=boolean("whether the host lacks the image"),
        undrain=boolean("whether an earlier run left it out of its balancer"),
        stage=items(ref("stage"), "versions to be copied to the host"),
        changes=items(ref("change"), "differences between what the host has and what it shall have"),
        container=ref("container"),
        server=ref("server"),
    )


def _change() -> Schema:
    return exactly(
        "One difference. A secret is masked on both sides.",
        what=text("`config/model.config`, `models.NAME`, `models.NAME.versions` or `container.FIELD`"),
        before=text("empty where there was nothing"),
        after=text(),
        entries=items(
            exactly(
                name=text("a flag, a variable, a path in the container, a port"),
                before=or_null(text("null where it is added")),
                after=or_null(text("null where it is removed")),
            ),
            "of a container's field that holds several: those that differ",
        ),
    )


def _stage() -> Schema:
    files = items(ref("file"), "sorted by path")
    return exactly(
        "One version directory to be put in place.",
        model=text(),
        version=number(),
        copy_bytes=count("what travels"),
        link_from=or_null(number("the version on the host whose equal files are linked")),
        files=exactly(
            "Its files held against those of a version that the host has: the newest served one, else the newest.",
            against=or_null(number("that version; null where there is none, and every file is added")),
            added=files,
            changed=described(files, "the same path with other content; sizes are the new ones"),
            removed=described(files, "not in the new version; sizes are the old ones"),
            same=exactly(count=count(), size_bytes=count()),
        ),
    )


def _container() -> Schema:
    return exactly(
        "The container's fields, as Docker's API has them; a change of any needs a new container.",
        name=text(),
        image=text(),
        image_id=text("empty while it has to be pulled"),
        entrypoint=items(text()),
        command=items(text()),
        environment=by_name(text(), "secrets are masked"),
        mounts=items(items(text()), "source and target of each; all are read-only"),
        ports=by_name(
            {"type": "array", "items": {"type": ["string", "integer"]}}, "container's port to address and port"
        ),
        runtime=text(),
        user=text(),
        memory_bytes=count("0: no limit"),
        pids_limit=count(),
        restart=text(),
    )


def _server() -> Schema:
    return exactly(
        "What the model server does under this plan.",
        phases=items(ref("phase"), "in order; none where it is left as it is"),
        burnt=items(
            exactly(model=text(), version=number(), error=text()),
            "wanted versions that failed in this process, which never tries their numbers again",
        ),
        obstacles=items(text(), "other reasons why no reload would do"),
        removed=items(text(), "models that are served now and not named any more"),
        unread=by_name(text(), "models of which the server did not say what it has, and why"),
    )


def _phase() -> Schema:
    numbers = items(number(), "versions")
    label = exactly(before=or_null(number()), after=or_null(number()))
    return exactly(
        "One step of the server.",
        kind=one_of(*(item.value for item in PhaseKind)),
        models=by_name(
            exactly(
                loads=described(numbers, "versions that are read from disk"),
                beside=described(numbers, "versions that are in memory meanwhile"),
                waits=described(numbers, "versions that are on their way already and are waited for"),
                unloads=described(numbers, "versions that leave memory"),
                labels=by_name(label, "labels that point elsewhere afterwards; null where there is no such label"),
                listed=boolean("whether the new configuration names the model"),
            ),
            "models to which something happens",
        ),
        golden=by_name(numbers, "versions that golden requests are sent to at its end, by model"),
    )


def _signatures() -> Schema:
    return exactly(
        "The signatures of a served and of a new version.",
        service=text(),
        model=text(),
        served=number(),
        new=number(),
        label=text("the label that moves from one to the other; empty without one"),
        breaking=boolean("whether callers of the served one would fail"),
        allowed=boolean("whether that is allowed"),
        unknown=text("why they could not be compared; empty when `changes` is complete"),
        changes=items(
            exactly(
                signature=text(),
                what=text(),
                before=text(),
                after=text(),
                why=text(),
                breaking=boolean(),
            )
        ),
    )


def _gpu_fit() -> Schema:
    numbers = items(number())
    return exactly(
        "GPUs that services share, and what their models need of them.",
        gpus=items(exactly(index=count(), name=text(), memory_bytes=count())),
        capacity_bytes=count("all of their memory"),
        required_bytes=count("what all models need once everything is done"),
        peak_bytes=count("what they need at the worst moment of it"),
        models=items(
            exactly(
                service=text(),
                model=text(),
                version_bytes=count("what one version needs"),
                versions=described(numbers, "that shall be served"),
                loaded=described(numbers, "in memory before"),
                required_bytes=count(),
                together_bytes=count("while old and new versions are in memory"),
            )
        ),
        reloads=items(text(), "services that change by a hot reload"),
        dropped=items(text(), "`service/model` that are loaded and not listed any more: their need is not known"),
        undecided=boolean("whether it was not found out if whole versions can be placed card by card"),
    )


# The run

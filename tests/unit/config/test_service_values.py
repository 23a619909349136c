"""Values of services and GPUs that would only fail on the host, or do something else there, are refused before."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from fleetdeploy.config.fields.server_flags import FLAG_KINDS, OWNED_FLAGS
from fleetdeploy.config.fields.values import User
from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.errors import InputError
from fleetdeploy.lab.modelserver import flags as stand_in

from .conftest import SERVICE, Write, problems


def fleet(write: Write, more: str, *, host: str = "") -> Path:
    """A host with a service that says ``more``."""
    services = "services:\n" + SERVICE.replace("    flags: {enable_batching: true}\n", f"    {more}\n" if more else "")
    return write({"hosts.yml": f"gpu: {{hosts: {{g1: {{{host}}}}}}}\n", "group_vars/gpu.yml": services})


@pytest.mark.parametrize("user", ["root", '"0"', '"0:0"', '"0:65534"', '"00"', "root:nogroup", '"root:0"'])
def test_root_is_refused(user: str, write: Write) -> None:
    """A model is a program: nobody's server runs as root, however root is written."""
    found = problems(fleet(write, f"user: {user}"))
    assert "services.ranking.user: the server would run as root" in found
    assert '"65534:65534"' in found


@pytest.mark.parametrize("user", ["65534:65534", "1000:0", "rooty", "nobody:root", "10"])
def test_other_users(user: str) -> None:
    """Other users are taken, in whatever group."""
    assert TypeAdapter(User).validate_python(user) == user


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("memory: 16", "services.ranking.memory: 16 is 16 bytes", "did you mean 16GiB?"),
        ("memory: 5MiB", "services.ranking.memory: 5MiB is 5,242,880 bytes", "did you mean 5GiB?"),
        ("memory: 16KiB", "services.ranking.memory: 16KiB is 16,384 bytes", "did you mean 16GiB?"),
    ],
)
def test_a_container_s_memory_without_its_unit(text: str, message: str, hint: str, write: Write) -> None:
    """Docker takes at least 6 MiB: a number of bytes was meant as something else."""
    found = problems(fleet(write, text))
    assert message in found
    assert hint in found


def test_a_gpu_s_memory_without_its_unit(write: Write) -> None:
    """What a card has and what a model needs is at least a MiB; 0 says nothing."""
    root = fleet(write, "memory: 6MiB", host="gpus: {count: 1, memory: 80}")
    path = root / "group_vars/gpu.yml"
    path.write_text(path.read_text().replace("labels: {stable: 7}", "requires: {gpu_memory: 12}"))
    found = problems(root)
    assert "gpus.memory: 80 is 80 bytes" in found
    assert "did you mean 80GiB?" in found
    assert "requires.gpu_memory: 12 is 12 bytes" in found
    path.write_text(path.read_text().replace("gpu_memory: 12", "gpu_memory: 0"))
    (root / "hosts.yml").write_text("gpu: {hosts: {g1: {gpus: {count: 1, memory: 0}}}}\n")
    assert load_inventory([root]).hosts["g1"].services[0].memory_bytes == 6 * 1024**2


@pytest.mark.parametrize(
    ("flag", "message", "hint"),
    [
        ("num_load_threads: two", "num_load_threads: 'two' is not a value of num_load_threads", "a whole number"),
        ("num_load_threads: 2.5", "is not a value of num_load_threads", "a whole number"),
        ("num_load_threads: 3000000000", "is not a value of num_load_threads", "a whole number of 32 bits"),
        ("enable_batching: 1", "1 is not a value of enable_batching", "true or false"),
        ("enable_batching: 'True'", "'True' is not a value of enable_batching", "true or false"),
        ("per_process_gpu_memory_fraction: half", "is not a value of per_process_gpu_memory_fraction", "a number"),
    ],
)
def test_flags_of_another_kind(flag: str, message: str, hint: str, write: Write) -> None:
    """The server does not start with them, and the old container would be gone by then."""
    found = problems(fleet(write, f"flags: {{{flag}}}"))
    assert f"services.ranking.flags.{message.partition(':')[0]}" in found or message in found
    assert message.rpartition(": ")[2] in found
    assert hint in found


def test_several_flags_are_told_at_once(write: Write) -> None:
    """Each at its own place, beside other mistakes of the service."""
    found = problems(fleet(write, "flags: {num_load_threads: two, enable_batching: maybe}\n    user: root"))
    assert found.count("is not a value of") == 2
    assert "would run as root" in found


def test_flags_of_the_right_kind(write: Write) -> None:
    """What the server reads, in the spellings of YAML, and any value for a flag that is not known here."""
    text = (
        "flags: {num_load_threads: 2, load_retry_interval_micros: 60000000000, enable_batching: yes, newer_flag: x, "
        "per_process_gpu_memory_fraction: 0.5, file_system_poll_wait_seconds: -1, saved_model_tags: serve}"
    )
    flags = load_inventory([fleet(write, text)]).hosts["g1"].services[0].flags
    assert flags["enable_batching"] == "true"
    assert flags["load_retry_interval_micros"] == "60000000000"
    assert flags["newer_flag"] == "x"


def test_a_flag_with_which_no_server_stays(write: Write) -> None:
    """``version`` makes the server print its version and end."""
    with pytest.raises(InputError, match="prints its version and ends"):
        load_inventory([fleet(write, "flags: {version: true}")])


def test_kinds_are_those_of_the_server() -> None:
    """The stand-in reads a command line as the server does; both tables know the same flags and kinds."""
    kinds = dict(stand_in._kinds())
    assert kinds.pop("version") == "bool"
    assert {name: kind for name, kind in kinds.items() if name not in OWNED_FLAGS} == FLAG_KINDS
    assert kinds.keys() >= OWNED_FLAGS


def test_a_kind_of_balancer_that_is_not_there(write: Write) -> None:
    """It is told with its place before any host is contacted; whoever hands in no kinds takes any."""
    balancer = "balancer: {kind: haproxi, host: g1, socket: /run/h.sock, pools: {ranking: [rest]}}"
    root = fleet(write, "", host=balancer)
    assert load_inventory([root]).hosts["g1"].balancer is not None
    with pytest.raises(InputError) as caught:
        load_inventory([root], balancer_kinds=["haproxy"])
    (problem,) = caught.value.problems
    assert problem.message == "balancer.kind: 'haproxi' is no kind of balancer"
    assert problem.where == f"{root}/hosts.yml:1:{len('gpu: {hosts: {g1: {balancer: {kind: ') + 1}"
    assert problem.hint.startswith("did you mean 'haproxy'?")


def test_metrics_are_off_unless_they_are_asked_for(write: Write) -> None:
    """Nothing changes for a service that does not name them."""
    for text, wanted in (("", False), ("metrics: false", False), ("metrics: true", True)):
        assert load_inventory([fleet(write, text)]).hosts["g1"].services[0].metrics is wanted


def test_metrics_beside_a_file_of_ones_own_are_refused(write: Write) -> None:
    """One of the two would never be read; which to remove is said, at the flag's place."""
    own = "flags: {monitoring_config_file: /config/mine}"
    found = problems(fleet(write, f"metrics: true\n    {own}"))
    assert "services.ranking.flags.monitoring_config_file: `metrics: true` sets this flag" in found
    assert "remove the flag; or, to keep a file of your own, remove `metrics`" in found
    flags = load_inventory([fleet(write, f"metrics: false\n    {own}")]).hosts["g1"].services[0].flags
    assert flags == {"monitoring_config_file": "/config/mine"}

"""How the stand-in's command line is read: values of every type, leftovers, and the usage."""

from __future__ import annotations

import pytest

from fleetdeploy.lab.modelserver import flags as command_line
from fleetdeploy.lab.modelserver.flags import Flags, parse


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("--port=9000", 9000),
        ("--port=+7", 7),
        ("--port= 7 ", 7),
        ("--port=-1", -1),
        ("--port=2147483647", 2**31 - 1),
        ("--load_retry_interval_micros=9223372036854775807", 2**63 - 1),
        ("--per_process_gpu_memory_fraction=.5", 0.5),
        ("--per_process_gpu_memory_fraction=1e-1", 0.1),
        ("--enable_batching", True),
        ("--flush_filesystem_caches=false", False),
        ("--model_name=", ""),
        ("--model_name=a=b", "a=b"),
    ],
)
def test_values_that_parse(argument: str, value: object) -> None:
    """A value is taken as the flag's type has it; white space around a number does not matter."""
    parsed = parse([argument])
    assert (parsed.problems, parsed.unknown) == ((), ())
    assert getattr(parsed.flags, argument[2:].partition("=")[0]) == value


@pytest.mark.parametrize(
    "argument",
    [
        "--port=", "--port=1.0", "--port=0x10", "--port=1 2", "--port=2147483648", "--port=٣",
        "--load_retry_interval_micros=9223372036854775808", "--tensorflow_session_parallelism=many",
        "--per_process_gpu_memory_fraction=half", "--per_process_gpu_memory_fraction=0x1p1",
        "--enable_batching=yes", "--enable_batching=",
    ],
)  # fmt: skip
def test_values_that_do_not_parse(argument: str) -> None:
    """A value of another type, or one that does not fit into the type, is a problem of a flag that is known."""
    parsed = parse([argument])
    assert len(parsed.problems) == 1
    assert argument[2:].partition("=")[0] in parsed.problems[0]
    assert parsed.usage_wanted


@pytest.mark.parametrize(
    "argument", ["--port", "-port=1", "port=1", "--Port=1", "--portx=1", "--enable_batchings", "9"]
)
def test_what_is_no_flag_is_left_over(argument: str) -> None:
    """Another spelling, one dash, or a value after a space is no flag, and no reason not to start."""
    parsed = parse([argument])
    assert parsed.unknown == (argument,)
    assert parsed.flags == Flags()
    assert not parsed.usage_wanted


def test_two_dashes_end_the_flags() -> None:
    """From a bare -- on, everything is left over."""
    parsed = parse(["--port=1", "--", "--port=2"])
    assert parsed.flags.port == 1
    assert parsed.unknown == ("--", "--port=2")


def test_help_counts_as_the_first_leftover_only() -> None:
    """--help asks for the usage where nothing unknown comes before it."""
    assert parse(["--port=1", "--help"]).usage_wanted
    assert not parse(["--what", "--help"]).usage_wanted


def test_usage_has_one_line_for_each_flag() -> None:
    """The usage lists every flag with its default, its type and what it is for."""
    head, flags, *lines = command_line.usage("program").splitlines()
    assert (head, flags) == ("usage: program", "Flags:")
    cells = [line.split("\t") for line in lines]
    assert [cell[1].strip().partition("=")[0].removeprefix("--") for cell in cells] == list(vars(Flags()))
    assert {cell[2] for cell in cells} == {"int32", "int64", "bool", "float", "string"}
    assert all(cell[3] for cell in cells)
    shown = {cell[1].rstrip() for cell in cells}
    assert {'--model_name="default"', "--per_process_gpu_memory_fraction=0.000000", "--enable_batching=false"} <= shown
    assert min(len(cell[1]) for cell in cells) == 33

"""Faults on demand: descriptions as they are read, rates as they are counted, clocks as the environment sets them."""

from __future__ import annotations

import json
import math
import os
import re
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fleetdeploy.lab.modelserver.environment import Environment
from fleetdeploy.lab.modelserver.faults.board import LOOK_S, NOTHING_SHIPPED, FaultBoard
from fleetdeploy.lab.modelserver.faults.description import Description, Failure, check, read_description
from fleetdeploy.lab.modelserver.faults.loader import SHIPPED, FaultyLoader
from fleetdeploy.lab.modelserver.faults.memory import MemoryBudget
from fleetdeploy.lab.modelserver.faults.model import FaultyModel, spoil
from fleetdeploy.lab.modelserver.faults.plan import Plan, Share
from fleetdeploy.lab.modelserver.servable import Feed, Model, ServableId
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs

AFFINE_1 = ServableId("affine", 1)


class Constant:
    """A model that answers 1.0 to everything."""

    signatures: Mapping[str, Any] = {}
    closed = False

    def run(
        self,
        feeds: Sequence[Feed],  # noqa: ARG002
        fetches: Sequence[str],  # noqa: ARG002
        *,
        answers: Sequence[Any],
        timeout_ms: int | None,  # noqa: ARG002
    ) -> None:
        for answer in answers:
            answer.dtype = stubs.types_pb2.DataType.DT_FLOAT
            answer.float_val[:] = [1.0]

    def close(self) -> None:
        self.closed = True


class Loads:
    """A loader of such models."""

    def load(self, servable: ServableId, path: str) -> Model:  # noqa: ARG002
        return Constant()


def refused(*fragments: str, code: Code = Code.INVALID_ARGUMENT) -> Any:
    return pytest.raises(StatusError, match=code.name + ".*" + ".*".join(map(re.escape, fragments)))


def ask(path: Path, content: object) -> None:
    """Write a faults file as a test in the lab would: by rename."""
    staged = path.with_name("staged")
    staged.write_text(json.dumps(content))
    staged.rename(path)


def taken_over(board: FaultBoard, servable: ServableId, asked: Description) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if board.plan(servable, NOTHING_SHIPPED).asked == asked:
            return True
        time.sleep(LOOK_S / 10)
    return False


@pytest.mark.parametrize(
    ("rate", "count", "hit"),
    [
        (0.0, 100, []),
        (1.0, 3, [1, 2, 3]),
        (0.5, 6, [2, 4, 6]),
        (0.3, 10, [4, 7, 10]),
        (0.1, 30, [10, 20, 30]),
        (0.07, 100, [15, 29, 43, 58, 72, 86, 100]),
    ],
)
def test_a_share_is_exact_and_evenly_spread(rate: float, count: int, hit: list[int]) -> None:
    """Which requests are hit follows from their number alone."""
    share = Share(rate)
    assert [number for number in range(1, count + 1) if share.hits()] == hit


def test_a_decimal_rate_is_meant_as_it_is_written() -> None:
    """Of 1000 requests a rate of 0.29 hits 290, although the nearest binary number is a little smaller."""
    share = Share(0.29)
    assert sum(share.hits() for _ in range(1000)) == 290


def test_two_runs_are_hit_alike() -> None:
    """The same rate hits the same requests in every run."""
    first, second = Share(0.37), Share(0.37)
    assert [first.hits() for _ in range(500)] == [second.hits() for _ in range(500)]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("load_s", -1),
        ("load_s", "1"),
        ("load_s", True),
        ("load_s", float("inf")),
        ("load_error", "no code"),
        ("load_error", "OK: fine"),
        ("load_error", "NO_SUCH_CODE: text"),
        ("load_error", 5),
        ("load_error_attempts", 1.5),
        ("memory_bytes", -1),
        ("unload_s", []),
        ("latency_ms", float("nan")),
        ("latency_rate", 1.1),
        ("error_rate", -0.1),
        ("error_rate", "0.1"),
        ("error", ""),
        ("nan", 1),
        ("nan_rate", True),
        ("hang", "boot"),
        ("hang", {}),
        ("hang_rate", 2),
        ("crash_after_requests", False),
        ("crash_on_load", "yes"),
    ],
)
def test_a_wrong_value_is_refused(key: str, value: object) -> None:
    """A value of the wrong type or size is refused with the file and the key."""
    with refused("some.json", key):
        check({key: value}, where="some.json")


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """A misspelt key is refused with the file and the key, instead of asking for nothing."""
    path = tmp_path / "shipped.json"
    path.write_text('{"latency_s": 1}')
    with refused(str(path), "latency_s"):
        read_description(path)
    path.write_text('{"models": {"affine": {"lag": 1}}}')
    with refused(str(path), "affine", "lag"):
        FaultBoard(str(path), memory_budget_bytes=None)
    path.write_text('{"budget": 1}')
    with refused(str(path), "budget"):
        FaultBoard(str(path), memory_budget_bytes=None)


@pytest.mark.parametrize("text", ["", "[]", "{", "1", "[" * 100_000])
def test_what_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    """A file that is not a JSON object is refused with its name."""
    path = tmp_path / "shipped.json"
    path.write_text(text)
    with refused(str(path)):
        read_description(path)


def test_every_key_is_understood() -> None:
    """Every field of a description can be written in JSON."""
    written = {
        "load_s": 1, "load_error": "UNAVAILABLE: a: b", "load_error_attempts": 2, "memory_bytes": 3, "unload_s": 0.5,
        "latency_ms": 4, "latency_rate": 0.5, "error_rate": 0.25, "error": "ABORTED: c", "nan": True, "nan_rate": 1,
        "hang": "unload", "hang_rate": 0, "crash_after_requests": 9, "crash_on_load": True,
    }  # fmt: skip
    description = Description(**check(written, where="here"))
    assert set(written) == set(Description.__dataclass_fields__)
    assert description.load_error == Failure(Code.UNAVAILABLE, "a: b")
    assert description.error == Failure(Code.ABORTED, "c")
    assert all(getattr(description, key) == value for key, value in written.items() if "error" not in key[-5:])


def test_the_more_specific_wins_and_null_takes_back(tmp_path: Path) -> None:
    """What is asked for a version goes before what is asked for its model, and that before what the version brings."""
    path = tmp_path / "faults.json"
    models = {"affine": {"latency_ms": 2, "error_rate": 0.5}, "affine/2": {"latency_ms": 3, "error_rate": None}}
    ask(path, {"models": models})
    board = FaultBoard(str(path), memory_budget_bytes=None)
    shipped = {"latency_ms": 1.0, "unload_s": 7.0}
    assert board.plan(AFFINE_1, shipped).asked == Description(latency_ms=2, error_rate=0.5, unload_s=7)
    assert board.plan(ServableId("affine", 2), shipped).asked == Description(latency_ms=3, unload_s=7)
    assert board.plan(ServableId("other", 1), shipped).asked == Description(latency_ms=1, unload_s=7)


def test_a_changed_file_is_taken_over_and_a_broken_one_is_not(tmp_path: Path) -> None:
    """Faults come and go with the file; one that cannot be read leaves things as they were."""
    path = tmp_path / "faults.json"
    board = FaultBoard(str(path), memory_budget_bytes=5)
    assert board.plan(AFFINE_1, NOTHING_SHIPPED).asked == Description()
    ask(path, {"memory_budget_bytes": 6, "models": {"affine": {"error_rate": 1}}})
    assert taken_over(board, AFFINE_1, Description(error_rate=1))
    assert board.memory_budget_bytes == 6
    path.write_text('{"models": {"affine": {"error')
    time.sleep(2 * LOOK_S)
    assert board.plan(AFFINE_1, NOTHING_SHIPPED).asked == Description(error_rate=1)
    path.unlink()
    assert taken_over(board, AFFINE_1, Description())
    assert board.memory_budget_bytes == 5


def test_counts_go_on_while_a_description_stays(tmp_path: Path) -> None:
    """A change for one model does not begin the count of another anew."""
    path = tmp_path / "faults.json"
    other = ServableId("other", 1)
    ask(path, {"models": {"affine": {"error_rate": 0.5}}})
    board = FaultBoard(str(path), memory_budget_bytes=None)
    first = board.plan(AFFINE_1, NOTHING_SHIPPED)
    ask(path, {"models": {"affine": {"error_rate": 0.5}, "other": {"nan": True}}})
    assert taken_over(board, other, Description(nan=True))
    assert board.plan(AFFINE_1, NOTHING_SHIPPED) is first


def test_attempts_and_requests_are_counted() -> None:
    """The first N attempts to load fail, and the process dies of the request after the Nth."""
    failure = Failure(Code.UNAVAILABLE, "not yet")
    plan = Plan(Description(load_error=failure, load_error_attempts=2, crash_after_requests=3))
    assert [plan.load_failure() for _ in range(4)] == [failure, failure, None, None]
    assert [plan.request_kills() for _ in range(5)] == [False, False, False, True, True]


def test_memory_is_shared_and_given_back() -> None:
    """Two versions can exceed a budget that each fits alone, and there is room again after one is gone."""
    memory, second = MemoryBudget(), ServableId("affine", 2)
    memory.take(AFFINE_1, 60, budget_bytes=100)
    with refused("OOM when allocating tensor", code=Code.RESOURCE_EXHAUSTED):
        memory.take(second, 60, budget_bytes=100)
    memory.take(second, 40, budget_bytes=100)
    memory.give_back(AFFINE_1)
    memory.take(second, 100, budget_bytes=100)


def test_a_version_without_faults_is_not_wrapped(tmp_path: Path) -> None:
    """Where no fault is asked for, nor can be, a request goes to the model itself."""
    loader = FaultyLoader(Loads(), FaultBoard(None, memory_budget_bytes=None))
    assert isinstance(loader.load(AFFINE_1, str(tmp_path)), Constant)
    (tmp_path / SHIPPED).parent.mkdir()
    (tmp_path / SHIPPED).write_text("{}")
    assert isinstance(loader.load(AFFINE_1, str(tmp_path)), FaultyModel)


def test_a_watched_file_costs_a_request_less_than_10_microseconds(tmp_path: Path) -> None:
    """A faults file that asks nothing of a model costs its requests next to nothing."""
    ask(tmp_path / "faults.json", {"models": {"other": {"nan": True}}})
    loader = FaultyLoader(Loads(), FaultBoard(str(tmp_path / "faults.json"), memory_budget_bytes=None))
    model = loader.load(AFFINE_1, str(tmp_path))
    rounds = []
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(500):
            model.run((), (), answers=(), timeout_ms=None)
        rounds.append((time.perf_counter() - began) / 500)
    assert min(rounds) < 10e-6


@pytest.mark.parametrize("kind", ["DT_FLOAT", "DT_DOUBLE", "DT_HALF", "DT_BFLOAT16"])
def test_floats_become_nan(kind: str) -> None:
    """Every value of a float type is NaN afterwards, in typed fields and in tensor_content, and the shape stays."""
    plain = stubs.tensor_pb2.TensorProto(dtype=stubs.types_pb2.DataType.Value(kind))
    plain.tensor_shape.dim.add().size = 3
    size = {"DT_FLOAT": 4, "DT_DOUBLE": 8}.get(kind, 2)
    packed = stubs.tensor_pb2.TensorProto(dtype=plain.dtype, tensor_shape=plain.tensor_shape)
    packed.tensor_content = b"\x00" * 3 * size
    field = {"DT_FLOAT": "float_val", "DT_DOUBLE": "double_val"}.get(kind, "half_val")
    getattr(plain, field).extend([1, 2, 3])
    for answer in (plain, packed):
        spoil(answer)
        assert answer.tensor_shape.dim[0].size == 3
    values = getattr(plain, field)
    assert len(values) == 3
    bits = {"DT_HALF": 0x7C00, "DT_BFLOAT16": 0x7F80}.get(kind)  # an exponent of ones, and below it not only zeros
    assert all(math.isnan(value) if bits is None else value & bits == bits != value & 0x7FFF for value in values)
    nan = struct.pack({"DT_FLOAT": "<f", "DT_DOUBLE": "<d"}.get(kind, "<H"), values[0])
    assert packed.tensor_content == 3 * nan


def test_other_types_stay_as_they_are() -> None:
    """Whole numbers and text are not touched by the NaN fault."""
    answer = stubs.tensor_pb2.TensorProto(dtype=stubs.types_pb2.DataType.DT_INT64, int64_val=[1, 2])
    spoil(answer)
    assert list(answer.int64_val) == [1, 2]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STANDIN_TICK_S", "0"),
        ("STANDIN_TICK_S", "fast"),
        ("STANDIN_SCAN_S", "-1"),
        ("STANDIN_SCAN_S", "nan"),
        ("STANDIN_CONFIG_POLL_S", "inf"),
        ("STANDIN_CONFIG_POLL_S", "1s"),
        ("STANDIN_MEMORY_BUDGET_BYTES", "-5"),
        ("STANDIN_MEMORY_BUDGET_BYTES", "1.5"),
        ("STANDIN_MEMORY_BUDGET_BYTES", "1MB"),
    ],
)
def test_a_variable_that_is_not_valid_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """A clock or budget that is no number, negative or endless is refused by its variable's name."""
    monkeypatch.setenv(variable, value)
    with refused(variable, value):
        Environment.read()


def test_variables_that_are_not_set_leave_the_real_servers_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without variables, or with empty ones, flags and the real server's constants hold."""
    for name in [name for name in os.environ if name.startswith("STANDIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STANDIN_SCAN_S", "")
    found = Environment.read()
    assert (found.tick_s, found.scan_interval_s, found.config_poll_s) == (0.1, None, None)
    assert (found.faults_file, found.memory_budget_bytes) == (None, None)

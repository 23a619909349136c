"""Signatures read around the graph, not through it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.tfserving import saved_model, signature_reader

from .signed import saved_model as message
from .signed import signature, write

ONE = signature({"x": ("float32", None, 8)}, {"y": ("int64", ...)}, defaults=("x",))
TWO = signature({"words": ("string",)}, {"score": ("half", 1)}, method="tensorflow/serving/regress")


def test_they_are_those_of_the_whole_message(tmp_path: Path) -> None:
    """The quick way and the whole parse tell the same."""
    directory = write(tmp_path / "1", one=ONE, two=TWO, __saved_model_init_op=ONE)
    known = signature_reader.read(directory)
    assert dict(known.signatures) == {"one": ONE, "two": TWO} == dict(saved_model.inspect(directory).signatures)
    assert known.graph_bytes == (directory / "saved_model.pb").stat().st_size
    assert known.problem == ""


def test_the_serving_graph_is_chosen(tmp_path: Path) -> None:
    """With several graphs those of the tag set {serve} count, wherever it stands."""
    model = message(one=ONE)
    other = model.meta_graphs.add()
    other.CopyFrom(message(two=TWO).meta_graphs[0])
    model.meta_graphs[0].meta_info_def.tags.append("gpu")
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    assert set(signature_reader.read(tmp_path).signatures) == {"two"}


def test_fields_of_later_tensorflows_are_passed_over(tmp_path: Path) -> None:
    """Unknown fields of every wire type, outside and inside the graph, change nothing."""
    unknown = b"\xa0\x06\x96\x01" + b"\xa1\x06" + b"8" * 8 + b"\xa2\x06\x03abc" + b"\xa5\x06" + b"4" * 4
    graph = unknown + message(one=ONE).meta_graphs[0].SerializeToString() + unknown
    assert len(graph) > 1 << 7
    header = b"\x12" + bytes([len(graph) & 0x7F | 0x80, len(graph) >> 7])
    (tmp_path / "saved_model.pb").write_bytes(unknown + header + graph + unknown)
    assert dict(signature_reader.read(tmp_path).signatures) == {"one": ONE}


@pytest.mark.parametrize("kind", ["missing", "folder", "link", "pipe", "empty"])
def test_what_is_no_model_is_a_problem_not_an_error(tmp_path: Path, kind: str) -> None:
    """Links are not followed, pipes not waited for, and the reason says which file."""
    file = tmp_path / "1" / "saved_model.pb"
    file.parent.mkdir()
    if kind == "folder":
        file.mkdir()
    elif kind == "link":
        file.symlink_to(write(tmp_path / "2", one=ONE) / "saved_model.pb")
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "empty":
        file.touch()
    known = signature_reader.read(file.parent)
    assert str(file) in known.problem
    assert known.signatures == {}


@given(st.integers(0, 6000), st.integers(0, 255))
def test_damage_never_raises(tmp_path_factory: pytest.TempPathFactory, place: int, value: int) -> None:
    """A file that was cut off, or has any byte changed, gives signatures or a problem."""
    directory = tmp_path_factory.mktemp("damaged")
    whole = bytearray(message(one=ONE).SerializeToString())
    place = min(place, len(whole) - 1)
    (directory / "saved_model.pb").write_bytes(whole[:place])
    assert signature_reader.read(directory).problem
    whole[place] = value
    (directory / "saved_model.pb").write_bytes(whole)
    signature_reader.read(directory)


@given(st.binary(max_size=200))
def test_noise_never_raises(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    """Whatever the bytes are, reading ends with a result."""
    directory = tmp_path_factory.mktemp("noise")
    (directory / "saved_model.pb").write_bytes(noise)
    signature_reader.read(directory)


def test_a_huge_graph_costs_nothing(tmp_path: Path) -> None:
    """A graph of a gigabyte is jumped over: its bytes are never read."""
    length = (1 << 30) + 5
    inner = b"\x12" + _varint(length)
    tail = message(one=ONE).meta_graphs[0]
    tail.ClearField("graph_def")
    rest = tail.SerializeToString()
    header = b"\x12" + _varint(len(inner) + length + len(rest)) + inner
    with (tmp_path / "saved_model.pb").open("wb") as stream:
        stream.write(header)
        stream.seek(length, os.SEEK_CUR)
        stream.write(rest)
    begin = time.process_time()
    assert dict(signature_reader.read(tmp_path).signatures) == {"one": ONE}
    assert time.process_time() - begin < 0.2


def _varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])

"""What a look into a model directory tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fleetdeploy.errors import InputError
from fleetdeploy.tfserving import risky_ops, stubs
from fleetdeploy.tfserving.inspection import Pin, inspect_path, inspect_version

from .conftest import write_version
from .signed import signature, write

ONE = signature({"x": ("float32", None)}, {"y": ("float32", None)})


def edit(directory: Path) -> Any:
    """The version's message; :func:`save` writes it back."""
    return stubs.saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())


def save(directory: Path, model: Any) -> None:
    (directory / "saved_model.pb").write_bytes(model.SerializeToString())


def test_a_complete_version(tmp_path: Path) -> None:
    """Number, size, tags, shards, assets and the writer's version are all there, and no problem."""
    found = inspect_version(write_version(tmp_path / "7", shards=2, assets=("words.txt",)))
    assert (found.number, found.problems, found.schema_version) == (7, (), 1)
    assert found.size_bytes == sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert found.variable_shards == {2: (0, 1)}
    assert found.info.tensorflow_version == "2.21.0"
    assert found.info.assets == ("words.txt",)
    assert found.ops == {"VarHandleOp": 1}
    assert (found.risky, found.devices, found.fingerprint, found.lite) == ({}, {}, {}, None)


def test_devices_are_counted_in_functions_too(tmp_path: Path) -> None:
    """Nodes that name a device are counted with one of them as an example."""
    directory = write_version(tmp_path / "7")
    model = edit(directory)
    graph = model.meta_graphs[0].graph_def
    graph.node.add(name="a", op="MatMul", device="/device:GPU:0")
    graph.library.function.add().node_def.add(name="b", op="MatMul", device="/device:GPU:0")
    save(directory, model)
    assert inspect_version(directory).devices == {"/device:GPU:0": Pin(2, "a")}


def test_operations_that_reach_out_are_told(tmp_path: Path) -> None:
    """File, network and Python operations are found in functions, and are no problem by themselves."""
    directory = write_version(tmp_path / "7")
    model = edit(directory)
    function = model.meta_graphs[0].graph_def.library.function.add()
    for op in ("WriteFile", "EagerPyFunc", "SaveV2", "MatMul"):
        function.node_def.add(name=op, op=op)
    save(directory, model)
    found = inspect_version(directory)
    assert set(found.risky) == {"WriteFile", "EagerPyFunc"}
    assert found.problems == ()


@pytest.mark.parametrize(
    "op",
    [
        "ReadFile", "WholeFileReaderV2", "TFRecordDataset", "TextLineDataset", "ExperimentalCSVDataset", "SqlDataset",
        "MatchingFiles", "LoadDataset", "SaveDatasetV2", "SnapshotDataset", "CacheDatasetV2", "PrintV2",
        "WriteScalarSummary", "CreateSummaryFileWriter", "DebugIdentityV2", "RpcCall", "DataServiceDatasetV4",
        "RemoteCall", "_Send", "CollectiveReduceV2", "PyFunc", "PyFuncStateless", "DatasetFromGraph", "XlaCallModule",
    ],
)  # fmt: skip
def test_names_of_operations_that_reach_out(op: str) -> None:
    """Each kind that TensorFlow's security notes name is known, also in its later versions."""
    assert risky_ops.reasons([op])


@pytest.mark.parametrize(
    "op", ["MatMul", "VarHandleOp", "SaveV2", "RestoreV2", "StatefulPartitionedCall", "HashTableV2", "TensorDataset"]
)
def test_names_of_operations_that_do_not(op: str) -> None:
    """What every export holds is not worth a look."""
    assert risky_ops.reasons([op]) == {}


def test_the_fingerprint(tmp_path: Path) -> None:
    """Hashes are shown as 16 hexadecimal digits; a file that does not parse is as good as none."""
    directory = write_version(tmp_path / "7")
    print_of = stubs.fingerprint_pb2.FingerprintDef(saved_model_checksum=255)
    (directory / "fingerprint.pb").write_bytes(print_of.SerializeToString())
    assert inspect_version(directory).fingerprint["saved_model_checksum"] == "00000000000000ff"
    (directory / "fingerprint.pb").write_bytes(b"\xff\xff")
    assert inspect_version(directory).fingerprint == {}


def test_a_lite_model(tmp_path: Path) -> None:
    """model.tflite is known by its file identifier."""
    directory = tmp_path / "7"
    directory.mkdir()
    (directory / "model.tflite").write_bytes(b"\x1c\0\0\0TFL3....")
    found = inspect_path(directory).versions[0]
    assert found.lite is True
    assert [problem.message for problem in found.problems] == ["is missing"]
    (directory / "model.tflite").write_bytes(b"short")
    assert inspect_version(directory).lite is False


def test_damage_is_a_problem_not_an_error(tmp_path: Path) -> None:
    """A file that does not parse and a link in the tree are told; nothing behind a link is opened."""
    damaged = write_version(tmp_path / "7")
    (damaged / "saved_model.pb").write_bytes(b"no protobuf")
    assert "does not parse" in inspect_version(damaged).problems[0].message
    linked = write_version(tmp_path / "8")
    (linked / "fingerprint.pb").symlink_to("/etc/hostname")
    (linked / "model.tflite").symlink_to("/etc/hostname")
    found = inspect_version(linked)
    assert {problem.message for problem in found.problems} == {"is a symbolic link"}
    assert (found.fingerprint, found.lite) == ({}, None)


def test_a_model_directory(tmp_path: Path) -> None:
    """All versions in order of their numbers, what is no version by name, and how signatures changed on the way."""
    for number in (9, 10, 11):
        write(tmp_path / str(number), serving_default=ONE)
    write(tmp_path / "10", serving_default=ONE, more=ONE)
    for name in ("011", "12.tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "13").write_text("")
    found = inspect_path(tmp_path)
    assert [version.number for version in found.versions] == [9, 10, 11]
    assert found.ignored == ("011", "12.tmp", "13")
    assert [(step.before, step.after, [str(item) for item in step.changes]) for step in found.steps] == [
        (9, 10, ["more: new signature"]),
        (10, 11, ["more: signature removed"]),
    ]


def test_a_version_that_cannot_be_read_is_stepped_over(tmp_path: Path) -> None:
    """Signatures are compared between those that could be read; the damaged one's problem is the model's."""
    write(tmp_path / "1", serving_default=ONE)
    (tmp_path / "2").mkdir()
    write(tmp_path / "3", other=ONE)
    found = inspect_path(tmp_path)
    assert [(step.before, step.after) for step in found.steps] == [(1, 3)]
    assert [problem.message for problem in found.problems] == ["holds no files"]


def test_paths_that_are_no_model(tmp_path: Path) -> None:
    """A file, a directory of models and an empty directory are bad input, with what to name instead."""
    write(tmp_path / "models" / "ranker" / "7", serving_default=ONE)
    with pytest.raises(InputError) as refused:
        inspect_path(tmp_path / "models" / "ranker" / "7" / "saved_model.pb")
    assert refused.value.problems[0].hint == f"name the directory: {tmp_path}/models/ranker/7"
    with pytest.raises(InputError) as refused:
        inspect_path(tmp_path / "models")
    assert refused.value.problems[0].hint == "name one of the models in it: ranker"
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no version directory and no SavedModel"):
        inspect_path(tmp_path / "empty")

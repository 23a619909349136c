"""``models inspect``, and changed signatures from plan to exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from simulation.contract import hold_output

from fleetdeploy.cli.main import main
from fleetdeploy.tfserving import stubs

from .conftest import Project, Result

Inspect = Callable[..., Result]


@pytest.fixture
def inspect(project: Project, monkeypatch: pytest.MonkeyPatch) -> Inspect:
    """``inspect("models/ranker")`` in the project's directory."""
    monkeypatch.chdir(project.path)

    def run(*arguments: str) -> Result:
        try:
            code = main(["models", "inspect", "--no-color", *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        result = Result(code, *project.capture())
        hold_output(["models", "inspect", *arguments], result.out)
        return result

    return run


def change(project: Project, number: int, *, dtype: int = 1, outputs: tuple[str, ...] = ("y",)) -> None:
    """Export a version again with another signature."""
    file = project.path / "models" / "ranker" / str(number) / "saved_model.pb"
    model = stubs.saved_model_pb2.SavedModel.FromString(file.read_bytes())
    definition = model.meta_graphs[0].signature_def["serving_default"]
    definition.inputs["x"].dtype = dtype
    definition.ClearField("outputs")
    for name in outputs:
        definition.outputs[name].dtype = 1
    file.write_bytes(model.SerializeToString())


def test_inspect_a_version(inspect: Inspect) -> None:
    """Everything about one version on lines of 80 columns, the verdict last, exit 0."""
    result = inspect("models/ranker/2")
    assert (result.code, result.err) == (0, "")
    rows = result.out.splitlines()
    assert rows[0] == "models/ranker/2"
    assert "  written by  TensorFlow 2.2" in rows
    assert "    in  x  float32 []" in rows
    assert "    out y  float32 []" in rows
    assert rows[-1] == "OK: 1 version complete"
    assert all(len(row) <= 80 for row in rows)


def test_inspect_a_model(inspect: Inspect, project: Project) -> None:
    """One line a version, then what changed between them, then the newest in full."""
    change(project, 3, dtype=9, outputs=("y", "z"))
    result = inspect("models/ranker")
    assert result.out.startswith("models/ranker: 3 versions\n  1 ")
    assert "  2 -> 3      serving_default input 'x': float32 [] -> int64 [] (another type)" in result.out
    assert "serving_default output 'z': float32 [] (new)" in result.out
    assert "\nmodels/ranker/3\n" in result.out
    assert inspect("models/ranker", "-q").out == "OK: 3 versions complete\n"


def test_inspect_tells_all_problems_with_exit_7(inspect: Inspect, project: Project) -> None:
    """What keeps a version from being served is told with its file, and counted in the last line."""
    file = project.path / "models" / "ranker" / "2" / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:-3])
    result = inspect("models/ranker")
    assert result.code == 7
    assert "error: models/ranker/2/saved_model.pb: does not parse" in result.out
    assert result.out.splitlines()[-1] == "REFUSED: 1 problem in 1 of 3 versions"
    found = inspect("models/ranker", "--json")
    assert found.code == found.json["exit_code"] == 7
    assert [len(version["problems"]) for version in found.json["versions"]] == [0, 1, 0]


def test_inspect_sends_no_control_characters(inspect: Inspect, project: Project) -> None:
    """Names out of a model are shown with escapes where a terminal would obey them."""
    change(project, 3, outputs=("y\x1b[2J",))
    result = inspect("models/ranker")
    assert "\x1b" not in result.out
    assert "\\x1b[2J" in result.out


def test_inspect_as_json(inspect: Inspect, capsys: pytest.CaptureFixture[str]) -> None:
    """The shape is the one that the command's help documents, key by key."""
    found = inspect("models/ranker", "--json").json
    assert set(found) == {"format", "exit_code", "path", "versions", "signature_changes", "ignored"}
    version = found["versions"][0]
    assert version["signatures"]["serving_default"] == {
        "method": "",
        "inputs": {"x": {"dtype": "float32", "shape": []}},
        "outputs": {"y": {"dtype": "float32", "shape": []}},
    }
    with pytest.raises(SystemExit):
        main(["models", "inspect", "--help"])
    text = capsys.readouterr().out
    assert [key for key in (*found, *version, *version["variables"]) if key not in text] == []


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("models/rankr/2", "models/rankr does not exist", "did you mean models/ranker/2?"),
        ("models/rankr/9", "models/rankr does not exist", "did you mean models/ranker?"),
        ("models/ranker/9", "error: models/ranker/9: does not exist", "in models/ranker: 1, 2, 3"),
        ("ranker/2", "error: ranker/2: ranker does not exist", "did you mean models/ranker/2?"),
        ("ranker", "error: ranker: does not exist", "did you mean models/ranker?"),
        ("qqqqqq", "error: qqqqqq: does not exist", "golden.jsonl, "),
        ("models", "holds no version directory and no SavedModel", "name one of the models in it: ranker"),
        ("models/ranker/1/saved_model.pb", "is a file", "name the directory: models/ranker/1"),
    ],
)
def test_inspect_a_wrong_path(inspect: Inspect, path: str, message: str, hint: str) -> None:
    """A path that is no model is exit 2, with the one that was perhaps meant."""
    result = inspect(path)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert hint in result.err


@pytest.mark.programs
def test_inspect_is_quick_and_needs_no_tensorflow(project: Project) -> None:
    """Neither TensorFlow's runtime nor the network's libraries are loaded for a look at a model."""
    code = (
        "import sys; from fleetdeploy.cli.main import main; main(sys.argv[1:]);"
        "heavy = {'tensorflow', 'tensorflow.python', 'numpy', 'grpc', 'paramiko', 'jinja2', 'pydantic'};"
        "sys.exit(','.join(heavy & set(sys.modules)) or 0)"
    )
    command = [sys.executable, "-c", code, "models", "inspect", str(project.path / "models/ranker"), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["exit_code"] == 0


def test_inspect_of_a_normal_model_is_under_200_ms(tmp_path: Path) -> None:
    """A graph of ten thousand nodes in functions is read within a fifth of a second of processor time."""
    from fleetdeploy.tfserving.inspection import inspect_path

    model = stubs.saved_model_pb2.SavedModel(saved_model_schema_version=1)
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.signature_def["serving_default"].inputs["x"].dtype = 1
    for number in range(10):
        function = graph.graph_def.library.function.add()
        for node in range(1000):
            function.node_def.add(name=f"node_{number}_{node}", op="MatMul", device="/device:GPU:0")
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    begin = time.process_time()
    found = inspect_path(tmp_path)
    assert time.process_time() - begin < 0.2
    assert found.versions[0].ops == {"MatMul": 10_000}


@pytest.mark.simulation
def test_a_breaking_signature_stops_before_anything_is_touched(project: Project) -> None:
    """``plan`` and ``deploy`` are exit 7 with every change and the way to allow it; no host is touched."""
    project.run("deploy")
    change(project, 2, dtype=9, outputs=())
    project.edit("versions: [1]", "versions: [2]")
    shown = project.run("plan")
    assert shown.code == 7
    assert "gpu1, gpu2: REFUSED: version 2 of ranker breaks callers of version 1, which is served:" in shown.out
    assert "serving_default input 'x': float32 [] -> int64 [] (another type)" in shown.out
    assert "serving_default output 'y': float32 [] (removed)" in shown.out
    refused = project.run("deploy")
    assert (refused.code, project.acts) == (7, [])
    assert "--allow-signature-change ranker" in refused.err
    assert project.world.serves("gpu1").versions == (("ranker", (1,)),)


@pytest.mark.simulation
@pytest.mark.parametrize("by", ["option", "inventory"])
def test_a_breaking_signature_that_is_allowed_goes_on(project: Project, by: str) -> None:
    """Allowed by the option or by the inventory, it is shown in the plan and deployed to the end."""
    project.run("deploy")
    change(project, 2, dtype=9)
    project.edit("versions: [1]", "versions: [2]")
    given = ["--allow-signature-change", "ranker"] if by == "option" else []
    if by == "inventory":
        project.edit("versions: [2],", "versions: [2], allow_signature_change: true,")
    shown = project.run("plan", *given)
    assert shown.code == 0
    text = "signature of ranker/2: serving_default input 'x': float32 [] -> int64 [] (another type), breaks callers"
    assert f"    {text}, allowed" in shown.out
    result = project.run("deploy", *given)
    assert (result.code, result.last_line) == (0, "OK: 2 of 2 hosts changed")
    assert project.world.serves("gpu2").versions == (("ranker", (2,)),)
    assert project.run("deploy").last_line == "OK: 2 hosts, nothing to do"


@pytest.mark.simulation
def test_signatures_in_a_plan_as_json(project: Project) -> None:
    """Each host lists what was compared with all changes, also where it is refused for them."""
    assert project.run("plan", "--json").json["hosts"]["gpu1"]["signatures"] == []
    project.run("deploy")
    change(project, 2, dtype=9)
    project.edit("versions: [1]", "versions: [2]")
    result = project.run("plan", "--json")
    assert result.code == 7
    assert result.json["hosts"]["gpu1"]["signatures"] == [
        {
            "service": "ranking",
            "model": "ranker",
            "served": 1,
            "new": 2,
            "label": "",
            "breaking": True,
            "allowed": False,
            "unknown": "",
            "changes": [
                {
                    "signature": "serving_default",
                    "what": "input 'x'",
                    "before": "float32 []",
                    "after": "int64 []",
                    "why": "another type",
                    "breaking": True,
                }
            ],
        }
    ]


@pytest.mark.simulation
def test_a_served_version_that_is_gone_here_is_said(project: Project) -> None:
    """Where the served version's directory was removed, the plan says that nothing could be compared, and goes on."""
    project.run("deploy")
    shutil.rmtree(project.path / "models" / "ranker" / "1")
    project.edit("versions: [1]", "versions: [2]")
    result = project.run("plan")
    assert result.code == 0
    assert "signatures of ranker/2 not compared: the signature of version 1 is not known here" in result.out


def test_a_misspelt_model_is_not_passed_over(project: Project) -> None:
    """``--allow-signature-change`` of a model that no host shall serve is exit 2 with the nearest name."""
    result = project.run("plan", "--allow-signature-change", "rankr")
    assert (result.code, project.wires) == (2, [])
    assert "did you mean 'ranker'?" in result.err


def test_the_inventory_setting_is_a_boolean(project: Project) -> None:
    """A text that only looks like yes is refused with its place."""
    project.edit("versions: [1],", 'versions: [1], allow_signature_change: "yes",')
    result = project.run("validate")
    assert result.code == 2
    assert "allow_signature_change" in result.err

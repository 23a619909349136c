"""``init``: what it writes is valid as it stands, says what is true, and is never written over anything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetdeploy.cli.main import main
from fleetdeploy.config.settings.load import load_settings
from fleetdeploy.tfserving import example_model, golden

ROOT = Path(__file__).parents[4]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run("init")`` in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def type_it(*words: str) -> tuple[int, str, str]:
        try:
            code = main(list(words))
        except SystemExit as ended:
            code = int(ended.code or 0)
        return (code, *capsys.readouterr())

    return type_it


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def own_model(directory: Path) -> Path:
    version = directory / "models of mine" / "7"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(example_model.saved_model())
    return version.parent


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("fleet",),
        ("fleet", "--host", "gpu1", "--host", "10.0.0.7", "--user", "deploy", "--network", "10.20.0.0/16"),
        ("--image", "registry:5000/serving@sha256:" + "a" * 64, "--name", "staging", "--user", "007"),
        ("--model", "ranker=models of mine", "--model", "1.10=models of mine", "--model", "on=models of mine"),
    ],
)
def test_what_is_written_is_valid(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    """`validate` passes on it as it is, without a warning, and each file that was written is named."""
    own_model(tmp_path)
    before = set(files(tmp_path))
    code, out, err = run("init", *words)
    assert code == 0
    assert {line.removeprefix("wrote ") for line in out.splitlines()} == set(files(tmp_path)) - before
    project = tmp_path / "fleet" if words[:1] == ("fleet",) else tmp_path
    inventory = project / "inventories" / ("staging" if "staging" in words else "prod")
    assert f"-i {inventory.relative_to(project)} " in err
    assert ("cd fleet" in err) == (project != tmp_path)
    code, out, err = run("validate", "-i", str(inventory), "--project", str(project))
    assert (code, err) == (0, "")
    assert out == "OK: 2 hosts with 1 service each, 3 plays\n"


def test_what_was_asked_for_stands_in_the_first_file(run: Run, tmp_path: Path) -> None:
    """Hosts, user, image, network and models are the user's own, as the inventory's reader gives them back."""
    own_model(tmp_path)
    given = ["--host", "gpu1", "--user", "deploy", "--image", "serving:1", "--network", "10.20.0.0/16"]
    assert run("init", *given, "--model", "ranker=models of mine")[0] == 0
    _, out, _ = run("inventory", "host", "gpu1", "-i", "inventories/prod", "--json")
    found = json.loads(out)
    assert found["ansible_user"] == "deploy"
    service = found["services"]["serving"]
    assert (service["image"], service["bind"]) == ("serving:1", "10.20.0.0/16")
    assert service["models"]["ranker"]["source"] == str(tmp_path / "models of mine")
    assert service["models"]["ranker"]["golden"] == "none"
    assert list(service["models"]) == ["ranker"]


def test_a_model_within_the_project_moves_with_it(run: Run, tmp_path: Path) -> None:
    """A source below the inventory's directory is named from there, so that another checkout finds it."""
    own_model(tmp_path / "inventories/prod/models")
    assert run("init", "--model", "ranker=inventories/prod/models/models of mine")[0] == 0
    text = (tmp_path / "inventories/prod/group_vars/gpu.yml").read_text(encoding="utf-8")
    assert 'source: "models/models of mine"\n' in text


def test_nothing_is_written_over_anything(run: Run, tmp_path: Path) -> None:
    """Where files are in the way, one error names all of them and none is written, dangling links included."""
    (tmp_path / ".gitignore").write_text("mine\n")
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks/deploy.yml").symlink_to("nowhere")
    code, out, err = run("init")
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == "error: .gitignore, playbooks/deploy.yml: exist, and are not overwritten"
    assert files(tmp_path) == {".gitignore": b"mine\n"}
    assert run("init", "other")[0] == 0
    again, _, err = run("init", "other")
    assert (again, err.count("error: "), err.count("other/")) == (2, 1, 9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--host", "gpu 1"), "'gpu 1' is no host name"),
        (("--image", "serving:latest"), "this tag moves"),
        (("--network", "10.20.0.1/16"), "write 10.20.0.0/16"),
        (("--model", "models"), "write NAME=SOURCE"),
        (("--model", "ranker=nowhere"), "'nowhere' is no directory"),
        (("--model", "a/b=."), "not a usable name"),
        (("--user", "a b"), "is no user name"),
        (("--name", "../up"), "not a usable name"),
        (("--lab", "--host", "gpu1"), "--lab brings its own hosts"),
        (("--lab", "none"), "there is no lab 'none'"),
    ],
)
def test_a_value_that_cannot_be_used_writes_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    """It is refused with what is wrong with it, before the first file."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    code, _, err = run("init", *words)
    assert (code != 0, files(tmp_path)) == (True, {})
    assert message in err


def test_what_is_commented_out_can_be_taken_in(run: Run, tmp_path: Path) -> None:
    """Every commented key of the files is one that there is, in the form that it has."""
    assert run("init")[0] == 0
    key = re.compile(r"^( *)# ((?:- )?[\w\[\]:.]+: ?.*|  - .*|  +\w+: .*)$", re.MULTILINE)
    settings = tmp_path / "fleetdeploy.yml"
    settings.write_text(
        re.sub(r"(?m)^# ((  - |\w+:).*)$", r"\1", settings.read_text(encoding="utf-8")), encoding="utf-8"
    )
    found = load_settings(tmp_path)
    assert found.freeze
    assert found.notify
    assert found.textfile == Path("/var/lib/prometheus/node-exporter/fleetdeploy.prom")
    for name in ("hosts.yml", "group_vars/gpu.yml"):
        path = tmp_path / "inventories/prod" / name
        text = path.read_text(encoding="utf-8")
        assert key.search(text)
        path.write_text(key.sub(r"\1\2", text).replace("    gpu:", "    lbs: {hosts: {lb1.example.net: }}\n    gpu:"))
    (tmp_path / "inventories/prod/known_hosts").write_text("")
    code, out, err = run("validate", "-i", "inventories/prod")
    others = [line for line in err.splitlines() if "textfile: there is no directory /var/lib/prometheus" not in line]
    assert (code, others) == (0, [])
    assert out == "OK: 17 hosts with 1 service each, 3 plays\n"


@pytest.mark.programs
def test_the_example_model_computes_what_its_golden_request_says() -> None:
    """TensorFlow itself loads the model and gives the recorded answer."""
    (request,) = golden.parse(example_model.golden_line(), where="here")
    script = (
        "import sys, pathlib, tempfile, json, tensorflow as tf\n"
        "from fleetdeploy.tfserving import example_model\n"
        "place = tempfile.mkdtemp()\n"
        "pathlib.Path(place, 'saved_model.pb').write_bytes(example_model.saved_model())\n"
        "serve = tf.saved_model.load(place).signatures['serving_default']\n"
        "print(json.dumps(serve(x=tf.constant(json.loads(sys.argv[1])))['y'].numpy().tolist()))\n"
    )
    line = json.loads(example_model.golden_line())
    argv = [sys.executable, "-c", script, json.dumps(line["inputs"]["x"])]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=200, cwd=ROOT)
    assert golden.compare(request, {"y": json.loads(done.stdout.splitlines()[-1])}) == ()


@pytest.mark.parametrize(("written", "ours"), [("model.config.j2", "templates"), ("deploy.yml", "playbooks")])
def test_the_project_is_that_of_the_repository(written: str, ours: str) -> None:
    """Playbook and template are those that every other test deploys with; only a playbook's first comment differs."""
    text, model = (
        (place / written).read_text(encoding="utf-8") for place in (ROOT / "fleetdeploy/starter", ROOT / ours)
    )
    if ours == "playbooks":
        text, model = (each[each.index("- name:") :] for each in (text, model))
    assert text == model

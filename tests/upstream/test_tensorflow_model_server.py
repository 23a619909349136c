"""tensorflow/serving's own black-box test of its server, run against the stand-in, unmodified.

Nothing of it is kept here: TFS_CHECKOUT names a checkout of github.com/tensorflow/serving (see README.md), and without
one these tests are skipped. Each method runs in a process of its own, as the servers it starts live until that ends.
"""

import ast
import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from run_method import CLASS, TEST_FILE

METHOD_S: Final = 150.0
"""Most seconds for one method; its own wait for a server is 60 tries, a second apart."""
TAIL: Final = 6000

SKIPPED: Final = {
    "test_profiler_service_with_valid_trace_request": "the profiler is not imitated",
    "test_tf_text": "TensorFlow Text is not imitated; the method also reads flags.os, which TensorFlow no longer has",
}


def methods() -> list[object]:
    """One parameter for each test method of the checkout's file; one that skips if there is no checkout."""
    named = os.environ.get("TFS_CHECKOUT")
    if not named:
        reason = "TFS_CHECKOUT names no checkout of tensorflow/serving"
        return [pytest.param("", marks=pytest.mark.skip(reason=reason), id="no-checkout")]
    source = (Path(named) / TEST_FILE).read_text(encoding="utf-8")
    found = [
        entry.name
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == CLASS
        for entry in node.body
        if isinstance(entry, ast.FunctionDef) and entry.name.startswith("test")
    ]
    assert found, f"{TEST_FILE} has no test methods in {CLASS}"
    return [
        pytest.param(name, marks=pytest.mark.skip(reason=SKIPPED[name]) if name in SKIPPED else (), id=name)
        for name in found
    ]


@pytest.mark.parametrize("method", methods())
def test_upstream(method: str, source_directory: Path, tmp_path: Path) -> None:
    """The method of tensorflow/serving's own test passes."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    checkout = Path(os.environ["TFS_CHECKOUT"]).resolve()
    environment = {
        **os.environ,
        "TEST_SRCDIR": str(source_directory),
        "TEST_TMPDIR": str(scratch),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "CUDA_VISIBLE_DEVICES": "-1",
        # The models of two methods have the input names that Keras 2 gives; Keras 3 names every one of them "inputs".
        "TF_USE_LEGACY_KERAS": "1",
    }
    output = tmp_path / "output"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(Path(__file__).with_name("run_method.py")), str(checkout), method],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=scratch,
            start_new_session=True,
        )
    try:
        ended = ends_within(process.pid, METHOD_S)
    finally:
        # Not reaped yet, so the group's number is still its own. The servers are in it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
    text = output.read_text(errors="replace")
    assert ended, f"{method} took more than {METHOD_S} s\n{text[-TAIL:]}"
    assert status == 0, f"{method} failed with status {status}\n{text[-TAIL:]}"
    assert "Ran 1 test" in text, f"{method} did not run\n{text[-TAIL:]}"


def ends_within(pid: int, seconds: float) -> bool:
    """Wait for the end of a child, without reaping it."""
    watched = os.pidfd_open(pid)
    try:
        return bool(select.select([watched], [], [], seconds)[0])
    finally:
        os.close(watched)

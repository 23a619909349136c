"""Asks Ansible what inventories and patterns mean; run by Ansible's own interpreter, never imported by a test.

Reads a JSON list of cases on stdin (``questions``, ``sources``, ``patterns``, ``extra_vars``, ``playbook_dir``) and
writes the answers as JSON on stdout: ``text``, ``graph`` and ``graph_vars`` as ``ansible-inventory`` prints them with
its ``warnings``, ``patterns`` with the ``hosts`` that ``ansible --list-hosts`` names and its ``warnings``, or an
``error``. Ansible takes a second to start, so it is started once; each question is put in a process forked from it, as
Ansible keeps what it has read and can be set up once only.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from ansible import __version__
from ansible.cli.inventory import InventoryCLI

Case = dict[str, Any]


def _command(case: Case, *verb: str) -> tuple[InventoryCLI, str, str]:
    """``ansible-inventory``, run, with what it printed on stdout and on stderr."""
    arguments = ["ansible-inventory", *verb]
    for source in case["sources"]:
        arguments += ["-i", source]
    for variables in case["extra_vars"]:
        arguments += ["-e", variables]
    if case["playbook_dir"]:
        arguments += ["--playbook-dir", case["playbook_dir"]]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        cli = InventoryCLI(arguments)
        with contextlib.suppress(SystemExit):
            cli.run()
    return cli, out.getvalue(), err.getvalue()


def _listed(case: Case) -> Case:
    cli, text, warnings = _command(case, "--list")
    # Ansible tells a warning once a process.
    asked = {pattern: _in_a_fork(lambda _: _matched(cli, pattern), case) for pattern in case["patterns"]}  # noqa: B023
    return {"text": text, "warnings": warnings, "patterns": asked}


def _matched(cli: InventoryCLI, pattern: str) -> Case:
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        hosts = [host.name for host in cli.inventory.list_hosts(pattern)]
    return {"hosts": hosts, "warnings": err.getvalue()}


def _drawn(case: Case) -> Case:
    return {"graph": _command(case, "--graph")[1]}


def _drawn_with_variables(case: Case) -> Case:
    return {"graph_vars": _command(case, "--graph", "--vars")[1]}


def _in_a_fork(question: Callable[[Case], Case], case: Case) -> Case:
    with tempfile.TemporaryFile("w+") as file:
        child = os.fork()
        if child == 0:
            try:
                answer = json.dumps(question(case))
            except BaseException as error:  # noqa: BLE001  the parent has to hear of it
                answer = json.dumps({"error": f"{type(error).__name__}: {error}"})
            file.write(answer)
            file.flush()
            os._exit(0)
        os.waitpid(child, 0)
        file.seek(0)
        return dict(json.load(file))


QUESTIONS = {"list": _listed, "graph": _drawn, "graph_vars": _drawn_with_variables}


def _answer(case: Case) -> Case:
    found: Case = {}
    for question in case["questions"]:
        found |= _in_a_fork(QUESTIONS[question], case)
    return found


def main() -> None:
    """Answer all cases."""
    version = [int(part) for part in __version__.split(".")[:2]]
    json.dump({"version": version, "answers": [_answer(case) for case in json.load(sys.stdin)]}, sys.stdout)


if __name__ == "__main__":
    main()

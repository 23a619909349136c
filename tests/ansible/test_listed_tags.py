"""``--list-tags`` held against ``ansible-playbook --list-tags``: plays with their numbers, hosts and tags."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_asking import MISSING, ansible_bin

BOOK = """\
- name: First
  hosts: all
  tags: [one]
  environment: {A: b}
  tasks:
    - {name: A, pause: {seconds: 1}, tags: [z, b]}
    - {name: B, pause: {seconds: 1}, tags: "a, never"}
    - {import_tasks: more.yml, tags: file}
- name: Second
  hosts: all
  tasks:
    - {name: C, pause: {seconds: 1}}
- name: Third
  hosts: web
  tags: []
  tasks:
    - {name: D, pause: {seconds: 1}, tags: always}
"""


def plays(text: str) -> dict[str, list[str]]:
    """What is said about each play: its own tags, and the lines below it."""
    found: dict[str, list[str]] = {}
    for line in filter(str.strip, text.splitlines()):
        if line.startswith("  play #"):
            name, tags = line.split("\t")
            said = found[name] = [tags]
        elif found:
            # Ansible writes the pattern as a list.
            said.append(re.sub(r"pattern: \['(.*)'\]", r"pattern: \1", line))
    # Hosts come in any order; tasks, which have a tab, in theirs.
    return {name: sorted(lines, key=lambda line: "" if "\t" in line else line) for name, lines in found.items()}


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--tags", "z"],
        ["--tags", "never"],
        ["--skip-tags", "one"],
        ["--list-tasks", "--tags", "all"],
        ["--list-tasks", "--list-hosts", "--tags", "never"],
        ["--list-tasks", "--list-hosts", "--tags", "all", "--limit", "h1"],
    ],
    ids=" ".join,
)
def test_tags_are_listed_as_ansible_lists_them(tmp_path: Path, options: list[str]) -> None:
    """The same lines, also of plays without any task that is meant, or any host that the limit leaves."""
    bin_dir = ansible_bin()
    assert bin_dir is not None, MISSING
    (tmp_path / "hosts.ini").write_text("h1\n[web]\nw1\n")
    (tmp_path / "book.yml").write_text(BOOK)
    (tmp_path / "more.yml").write_text("- {name: E, pause: {seconds: 1}, tags: inner}\n")
    words = ["-i", "hosts.ini", "book.yml", "--list-tags", *options]
    environ = {**os.environ, "HOME": str(tmp_path), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}

    def said(*command: str) -> dict[str, list[str]]:
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return plays(done.stdout)

    theirs = said(str(bin_dir / "ansible-playbook"), *words)
    ours = said(sys.executable, "-m", "fleetdeploy", "plan", *words)
    assert ours
    assert ours == theirs

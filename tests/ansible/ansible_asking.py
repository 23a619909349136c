"""Asking Ansible itself: where it is installed, and how a batch of cases is put to it in one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DRIVER = Path(__file__).with_name("driver.py")
MISSING = (
    "ansible-core is not installed: ansible-inventory is neither beside this Python nor in the directory ANSIBLE_BIN"
)
BATCH_TIMEOUT_S = 240


@dataclass(frozen=True)
class Case:
    """An inventory, written as files, and patterns to try on it.

    ``refused`` is what our error says where we refuse what Ansible takes (with a warning or in silence);
    ``refused_patterns`` the same for patterns. ``since`` is the first Ansible that reads the files as they are meant.
    """

    name: str
    files: dict[str, str]
    sources: tuple[str, ...] = ("hosts",)
    executable: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    refused_patterns: dict[str, str] = field(default_factory=dict)
    extra_vars: tuple[str, ...] = ()
    playbook_dir: str = ""
    refused: str = ""
    questions: tuple[str, ...] = ("list", "graph", "graph_vars")
    since: tuple[int, int] = (2, 15)

    def write(self, root: Path) -> Path:
        """The case's files below a directory of its own, which is returned."""
        folder = root / self.name
        folder.mkdir()
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755 if name in self.executable else 0o644)
        return folder

    def given_sources(self, folder: Path) -> list[str]:
        """The values of ``-i``."""
        return [source if "," in source else str(folder / source) for source in self.sources]


def ansible_bin() -> Path | None:
    """The directory that holds ``ansible-inventory``: this interpreter's, else the one that ANSIBLE_BIN names."""
    given = os.environ.get("ANSIBLE_BIN")
    candidates = [Path(sys.executable).parent, *([Path(given)] if given else [])]
    return next((folder for folder in candidates if (folder / "ansible-inventory").is_file()), None)


def ask(cases: Sequence[Case], folders: Sequence[Path], *, bin_dir: Path, home: Path) -> dict[str, Any]:
    """Ansible's answers by the cases' names, and its ``version``."""
    questions = [
        {
            "questions": ["list"] if case.refused else list(case.questions),
            "sources": case.given_sources(folder),
            "patterns": [*case.patterns, *case.refused_patterns],
            "extra_vars": list(case.extra_vars),
            "playbook_dir": str(folder / case.playbook_dir) if case.playbook_dir else "",
        }
        for case, folder in zip(cases, folders, strict=True)
    ]
    settings = home / "ansible.cfg"
    settings.write_text("")
    # Nothing that a person has set up for Ansible on this machine counts.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE")}
    environment |= {
        "HOME": str(home), "ANSIBLE_CONFIG": str(settings), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_DEPRECATION_WARNINGS": "0",
        "LC_ALL": "C.UTF-8", "ANSIBLE_DEVEL_WARNING": "0",
    }  # fmt: skip
    done = subprocess.run(
        [str(bin_dir / "python3"), str(DRIVER)],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        cwd=home,
        env=environment,
        timeout=BATCH_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    by_name = {case.name: found for case, found in zip(cases, answer["answers"], strict=True)}
    return {**by_name, "version": tuple(answer["version"])}

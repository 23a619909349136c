"""Ansible's answers to the whole corpus, asked for once; without Ansible every test here fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_asking import MISSING, ansible_bin, ask
from ansible_corpus import CASES
from ansible_generated import generated_cases


@pytest.fixture(scope="session")
def corpus() -> dict[str, Any]:
    """All cases by their names."""
    return {case.name: case for case in (*CASES, *generated_cases())}


@pytest.fixture(scope="session")
def folders(corpus: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where each case was written."""
    root = tmp_path_factory.mktemp("corpus")
    return {name: case.write(root) for name, case in corpus.items()}


@pytest.fixture(scope="session")
def answers(
    corpus: dict[str, Any], folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What Ansible says to each case, and its version."""
    bin_dir = ansible_bin()
    assert bin_dir is not None, MISSING
    home = tmp_path_factory.mktemp("home")
    return ask(list(corpus.values()), list(folders.values()), bin_dir=bin_dir, home=home)

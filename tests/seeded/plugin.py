"""A pytest plugin that puts one known bug into the product: ``-p tests.seeded.plugin`` with ``SEEDED_BUG=NAME``."""

from __future__ import annotations

import os

import pytest

from tests.seeded.bugs import BUGS


def pytest_configure(config: pytest.Config) -> None:
    """Apply the bug for the whole run; a name that is none must not look like a bug that was found."""
    name = os.environ.get("SEEDED_BUG", "")
    if name not in BUGS:
        raise pytest.UsageError(f"SEEDED_BUG={name!r} is none of: {', '.join(BUGS)}")
    BUGS[name].apply()

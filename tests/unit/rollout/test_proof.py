"""What a selection of tasks may not leave out on a host."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fleetdeploy.domain.plan import Activation
from fleetdeploy.errors import NotHealthy
from fleetdeploy.rollout.host.proof import check_proof


def plan(activation: Activation, *, undrain: bool = False) -> Any:
    return SimpleNamespace(activation=activation, undrain=undrain, desired=SimpleNamespace(name="ranking"))


@pytest.mark.parametrize(
    ("task", "activation", "undrain", "begun"),
    [
        ("verify", Activation.REPLACE, False, {"drain"}),
        ("undrain", Activation.VERIFY, True, set()),
        ("undrain", Activation.VERIFY, True, {"drain"}),
        ("undrain", Activation.REPLACE, True, set()),
    ],
)
def test_what_is_not_proven_is_refused(task: str, activation: Activation, undrain: bool, begun: set[str]) -> None:
    """What is not active is not proven, and what an earlier run left unproven is not put back."""
    with pytest.raises(NotHealthy) as caught:
        check_proof(task, plan(activation, undrain=undrain), begun=begun)
    assert "--start-at-task" in caught.value.hint


@pytest.mark.parametrize(
    ("task", "activation", "undrain", "begun"),
    [
        ("verify", Activation.REPLACE, False, {"drain", "activate"}),
        ("verify", Activation.VERIFY, True, set()),
        ("undrain", Activation.NOTHING, True, set()),
        ("undrain", Activation.VERIFY, True, {"verify"}),
        ("undrain", Activation.RELOAD, True, {"drain"}),
        ("undrain", Activation.RELOAD, False, set()),
    ],
)
def test_what_is_safe_goes_on(task: str, activation: Activation, undrain: bool, begun: set[str]) -> None:
    """An interrupted run may be finished by its last tasks, and a host that was only drained comes back."""
    check_proof(task, plan(activation, undrain=undrain), begun=begun)

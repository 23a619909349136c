"""Whether a container still has the GPUs that it was started with.

It may lose them while it runs, for example to a ``systemctl daemon-reload`` on the host (nvidia-container-toolkit #48).
TensorFlow then fails, or computes on the CPU without a word.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleetdeploy.domain.protocols import Containers
from fleetdeploy.errors import DeadlineExceeded, NotHealthy

ASK = ("nvidia-smi", "-L")
ANSWER_S = 30.0
"""Without NVIDIA's persistence mode each question initializes every GPU anew."""
NO_PROGRAM = frozenset({126, 127})
_HINT = "restart the container to give it its GPUs again; if nvidia-smi fails on the host too, mend the driver first"


def asked_for(environment: object) -> int:
    """How many GPUs a container's environment asks NVIDIA's runtime for, at least; 0 where it asks for none."""
    chosen = environment.get("NVIDIA_VISIBLE_DEVICES", "") if isinstance(environment, Mapping) else ""
    named = [name for name in str(chosen).split(",") if name.strip() not in {"", "void", "none"}]
    return len(named)


def check_gpus(containers: Containers, name: str, *, wanted: int) -> str:
    """Ask nvidia-smi inside the container. Returns why that tells nothing, empty when all ``wanted`` GPUs are there.

    Raises NotHealthy when the server lost one.
    """
    try:
        ended = containers.execute(name, ASK, deadline_s=ANSWER_S)
    except DeadlineExceeded as error:
        raise NotHealthy(
            f"the server lost its GPU: nvidia-smi in its container gave no answer within {ANSWER_S:g} s", hint=_HINT
        ) from error
    if ended.status in NO_PROGRAM:
        return "the container has no nvidia-smi, so nothing tells whether it has its GPUs"
    there = sum(line.startswith("GPU ") for line in ended.text.splitlines())
    if ended.status or there < wanted:
        said = f"ended with status {ended.status}" if ended.status else f"lists {there} of the {wanted} it was given"
        raise NotHealthy(
            f"the server lost its GPU: nvidia-smi in its container {said}{_last_words(ended.text)}", hint=_HINT
        )
    return ""


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()][-3:]
    return f": {' / '.join(lines)}" if lines else ""

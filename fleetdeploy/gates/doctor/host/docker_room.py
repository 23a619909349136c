"""Room where Docker keeps images."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts
from fleetdeploy.domain.observed import Present
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine, warn

GIB = 1024**3
LITTLE_BYTES = 10 * GIB
"""Less than the image of a model server with CUDA takes while it is unpacked."""
NOTHING_BYTES = GIB
_DF = re.compile(r"\s(\d+)\s+(\d+)\s+(-?\d+)\s+(?:\d+%|-)\s+(/\S*)")


def look(facts: HostFacts) -> Iterator[Finding]:
    """By df of Docker's root directory."""
    if not isinstance(facts.observed.docker, Present):
        return
    row = _DF.search(facts.text("docker_root").partition("\n--\n")[0])
    if row is None:
        raise ValueError("df printed no line of numbers")
    free, at = max(0, int(row[3])) * 1024, row[4]
    text, fix = (
        f"{free / GIB:.1f} GiB are free on {at}, where Docker keeps images",
        "on {host}: docker image prune -a  (look at `docker system df` first)",
    )
    if free < NOTHING_BYTES:
        yield bad(text, why="no image can be pulled", fix=fix)
    elif free < LITTLE_BYTES:
        yield warn(text, why="an image of a server with CUDA needs more while it is unpacked", fix=fix)
    else:
        yield fine(text)


CHECK = Check(Group.DOCKER, "how much room Docker has", look, "ssh {host} df -h /var/lib/docker")

"""The stand-in model server as container images: one made of this machine's files, one that only says it is newer."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleetdeploy.errors import LabError
from fleetdeploy.lab.standin_image.archive import build_rootfs_tar, derived_dockerfile, image_recipe

REPOSITORY = "fleetdeploy/standin"
BUILDS = ("1.0", "1.1")


@dataclass(frozen=True)
class StandInImage:
    """``fleetdeploy/standin:1.0`` and ``:1.1``. The second adds no file: it is a new image to roll out, at no cost."""

    needs_network: bool = False

    @property
    def key(self) -> str:
        return f"standin-{image_recipe().key[:24]}"

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(f"{REPOSITORY}:{build}" for build in BUILDS)

    def load(self, engine: Any, scratch: Path) -> None:
        """Build the root file system, import it, and derive the other tags.

        :raises LabError: TensorFlow is not installed here, or the engine refuses the image.
        """
        tar = scratch / "rootfs.tar"
        build_rootfs_tar(tar)
        first, *later = BUILDS
        changes = list(image_recipe(first).changes)
        answer = engine.import_image(src=str(tar), repository=REPOSITORY, tag=first, changes=changes)
        if "errorDetail" in answer:
            raise LabError("the Docker engine refused the stand-in's root file system", detail=answer)
        for build in later:
            self._derive(engine, f"{REPOSITORY}:{first}", build)

    def _derive(self, engine: Any, base: str, build: str) -> None:
        dockerfile = io.BytesIO(derived_dockerfile(base, build).encode())
        for line in engine.build(fileobj=dockerfile, tag=f"{REPOSITORY}:{build}", pull=False, rm=True, decode=True):
            if "error" in line:
                raise LabError(f"the Docker engine did not build {REPOSITORY}:{build}", detail=line["error"])

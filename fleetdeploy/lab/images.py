"""Images without a registry: one Docker data root is filled once, and every host starts from a cheap copy of it.

The filled ("golden") data root is kept in the cache under the images' content key. A host gets its layers as hard links
and its metadata as copies, so that all hosts have the same image ids and a host costs about a megabyte.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fleetdeploy.errors import LabError
from fleetdeploy.lab import host as lab_host
from fleetdeploy.lab import network
from fleetdeploy.lab.processes import log_tail, run
from fleetdeploy.lab.state import HostRecord, LabPaths, hold
from fleetdeploy.lab.waiting import wait_until

_BUILDER = HostRecord("golden", "builder", 250)
_KEPT_GOLDEN_ROOTS = 4
_LEFT_BEHIND = ("engine-id", "network", "runtimes", "tmp")


class ImageSource(Protocol):
    """Something that can put images into a Docker engine.

    ``key`` changes whenever what it would put there changes; it is part of a file name. ``needs_network`` asks for an
    engine in the machine's own network.
    """

    @property
    def key(self) -> str: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def needs_network(self) -> bool: ...
    def load(self, engine: Any, scratch: Path) -> None:
        """Put the images into ``engine`` (a ``docker.APIClient``), using the empty directory ``scratch`` if need be."""


@dataclass(frozen=True)
class PulledImage:
    """An image from a registry, such as ``tensorflow/serving:2.19.0``; pulled once per cache."""

    reference: str
    needs_network: bool = True

    @property
    def key(self) -> str:
        return f"pulled-{hashlib.sha256(self.reference.encode()).hexdigest()[:24]}"

    @property
    def tags(self) -> tuple[str, ...]:
        return (self.reference,)

    def load(self, engine: Any, scratch: Path) -> None:  # noqa: ARG002 - nothing to build
        from docker.errors import APIError  # noqa: PLC0415 - most labs find their images in the cache

        repository, tag = self.reference, None
        if "@" not in self.reference:
            head, colon, last = self.reference.rpartition(":")
            repository, tag = (head, last) if colon and "/" not in last else (self.reference, "latest")
        try:
            engine.pull(repository, tag=tag)
        except APIError as error:
            raise LabError(
                f"cannot pull {self.reference}: {error.explanation or error}",
                hint="a registry must be reachable from this machine; without --image nothing is pulled",
            ) from None


def furnish(paths: LabPaths, source: ImageSource, roots: Iterable[Path]) -> None:
    """Fill the (empty) Docker data roots of hosts with the images of ``source``.

    Only one process works in a cache at a time. What is built appears there by a rename, so a build that was killed
    leaves nothing that is taken for whole.
    """
    with hold(paths.cache):
        golden = paths.cache / f"golden-{source.key}"
        if not golden.is_dir():
            _build(paths, source, golden)
        os.utime(golden)
        for root in roots:
            _copy(golden, root)
        _prune(paths.cache, keep=golden)


def _copy(golden: Path, root: Path) -> None:
    layers = golden / "overlay2"
    rest = [str(entry) for entry in golden.iterdir() if entry != layers]
    run(["cp", "--archive", *rest, str(root)], timeout_s=120)
    linked = run(["cp", "--archive", "--link", str(layers), str(root)], timeout_s=120, check=False)
    if linked.returncode:  # the cache is on another file system
        run(["rm", "-rf", str(root / "overlay2")], timeout_s=120)
        run(["cp", "--archive", str(layers), str(root)], timeout_s=600)


def _prune(cache: Path, *, keep: Path) -> None:
    """Remove what killed builds left, and all but the golden roots used last; hosts keep their links to the layers."""
    roots = sorted(cache.glob("golden-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for stale in [*cache.glob("fdlab-*"), *roots[_KEPT_GOLDEN_ROOTS:]]:
        if stale != keep:
            shutil.rmtree(stale)


def _build(paths: LabPaths, source: ImageSource, golden: Path) -> None:
    """Run an engine on an empty data root, load the images, stop it, and move the data root into the cache."""
    import docker  # noqa: PLC0415 - most labs find their images in the cache

    partial = paths.cache / f"{paths.prefix}golden"
    home = paths.host(_BUILDER.name)
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "scratch").mkdir(parents=True)
    isolated = not source.needs_network
    options = {"bridge": "none", "iptables": False, "ip6tables": False, "ip-masq": False, "ip-forward": False}
    outfit = lab_host.Outfit(services=("docker",), docker_options=options, isolated=isolated)
    lab_host.prepare(paths, _BUILDER, outfit, client_key="")
    try:
        if isolated:
            run(["ip", "netns", "add", network.host_namespace(paths.prefix, _BUILDER.name).name])
        lab_host.start(paths, _BUILDER, isolated=isolated)
        lab_host.wait_docker(paths, _BUILDER)
        address = lab_host.path_on(paths, _BUILDER, lab_host.DOCKER_SOCKET)
        engine = docker.APIClient(base_url=f"unix://{address}", timeout=600)
        try:
            source.load(engine, partial / "scratch")
        finally:
            engine.close()
        _stop_engine(paths)
    finally:
        lab_host.stop(paths, _BUILDER)
        if isolated:
            network.remove_namespace(network.host_namespace(paths.prefix, _BUILDER.name))
    for name in _LEFT_BEHIND:
        run(["rm", "-rf", str(home / "docker" / name)])
    _move(home / "docker", partial / "root")
    (partial / "root").rename(golden)
    shutil.rmtree(partial)
    shutil.rmtree(home)


def _stop_engine(paths: LabPaths) -> None:
    """Stop the builder's engine in an orderly way, so that its databases are whole on disk."""
    enter = lab_host.enter_argv(paths, _BUILDER)
    run([*enter, "sh", "-c", 'kill -TERM "$(cat /run/docker.pid)"'])
    wait_until(
        lambda: run([*enter, "test", "-e", "/run/docker.pid"], check=False).returncode != 0,
        "the Docker engine that was given the images has stopped",
        deadline_s=60,
        interval_s=0.05,
        on_timeout=lambda: log_tail(paths.host(_BUILDER.name) / "upper/var/log/dockerd.log"),
    )


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        run(["cp", "--archive", str(source), str(target)], timeout_s=600)

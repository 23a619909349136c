"""What a host shall run: services, models and versions, first as wished, then resolved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath

from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.signatures import KnownSignatures

LABEL_SERVICE = "fleetdeploy.service"
LABEL_RELEASE = "fleetdeploy.release"
LABEL_SPEC = "fleetdeploy.spec"
LABEL_DIRECTORY = "fleetdeploy.directory"


@dataclass(frozen=True)
class GpuRequest:
    """Which GPUs of its host a service gets: given ``devices``, the first ``count``, or ``all``; none by default."""

    devices: tuple[int, ...] = ()
    count: int = 0
    all: bool = False

    @property
    def wanted(self) -> bool:
        return bool(self.devices or self.count or self.all)

    def visible_devices(self) -> str:
        """The value of NVIDIA_VISIBLE_DEVICES, as the NVIDIA container runtime reads it."""
        if self.all:
            return "all"
        chosen = self.devices or tuple(range(self.count))
        return ",".join(map(str, chosen)) or "void"


@dataclass(frozen=True)
class Ports:
    """Host ports a service publishes; the container listens on 8500 (gRPC) and 8501 (REST)."""

    grpc: int
    rest: int


@dataclass(frozen=True)
class VersionsWish:
    """Explicit version numbers, or the ``latest`` n directories of the source; exactly one of the two is set."""

    numbers: tuple[int, ...] = ()
    latest: int = 0


@dataclass(frozen=True)
class Requirements:
    """What one loaded version of a model needs of the GPUs of its service.

    ``gpu_memory_bytes`` is taken by each version that is loaded, and each GPU must have room for one; 0: not said.
    ``compute_capability`` (major.minor) and ``driver`` (numbers with points) begin with ``>=``, ``>`` or ``==``, none
    means at least; empty: any.
    """

    gpu_memory_bytes: int = 0
    compute_capability: str = ""
    driver: str = ""

    @property
    def gpu(self) -> bool:
        """Whether the model needs a GPU at all."""
        return bool(self.gpu_memory_bytes or self.compute_capability or self.driver)


@dataclass(frozen=True)
class ModelWish:
    """A model as the inventory wishes it. ``golden`` is None only where the inventory says ``golden: none``.

    ``accept_incomplete`` ships a version although its checkpoint files are not all there (they are looked for before
    anything is copied); the golden requests then have the last word. ``allow_signature_change`` lets a version be
    served after which callers of the served one fail. ``pinned`` versions are never pruned. ``places`` maps its keys
    ``source``, ``versions``, ``labels``, ``golden`` and ``requires`` to where they were written (``file:line:column``).
    """

    name: str
    source: Path
    versions: VersionsWish
    labels: Mapping[str, int] = field(default_factory=dict)
    golden: Path | None = None
    accept_incomplete: bool = False
    requires: Requirements = Requirements()
    allow_signature_change: bool = False
    pinned: tuple[int, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)

    def where(self, key: str) -> str:
        """Where ``key`` of the model was written, empty when that is not known."""
        return self.places.get(key, "")


@dataclass(frozen=True)
class ServiceWish:
    """One TF Serving container definition as the inventory wishes it for one host.

    ``bind`` is an IP address or a CIDR in which the host has an address. ``base_dir`` is the service's directory
    on the host. ``flags`` are extra server flags (without the leading dashes). With ``metrics`` the server tells on its
    REST port what it counts. Sizes in bytes.
    """

    name: str
    image: str
    ports: Ports
    bind: str
    models: tuple[ModelWish, ...]
    runtime: str = "nvidia"
    gpus: GpuRequest = GpuRequest()
    expose: bool = False
    base_dir: PurePosixPath = PurePosixPath("/srv/fleetdeploy")
    template: str = "model.config.j2"
    flags: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str | Secret] = field(default_factory=dict)
    user: str = "65534:65534"
    memory_bytes: int = 0
    metrics: bool = False
    where: str = ""

    @property
    def directory(self) -> PurePosixPath:
        """The service's own directory on its hosts."""
        return self.base_dir / self.name


@dataclass(frozen=True)
class ManifestFile:
    """One file of a version directory: path relative to it, size in bytes, SHA-256 as 64 hex digits."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Every file of one version directory, sorted by path."""

    files: tuple[ManifestFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(item.size_bytes for item in self.files)

    def as_sha256sum(self) -> str:
        """The list in the format of sha256sum(1), so that a host (or a person) can check it."""
        return "".join(f"{item.sha256}  {item.path}\n" for item in self.files)

    @property
    def digest(self) -> str:
        """SHA-256 of :meth:`as_sha256sum`: the identity of the directory's content."""
        return hashlib.sha256(self.as_sha256sum().encode()).hexdigest()


@dataclass(frozen=True)
class ModelVersion:
    """A version with its content: where it lies on the controller, and its manifest."""

    number: int
    directory: Path
    manifest: Manifest


@dataclass(frozen=True)
class GoldenRequest:
    """A recorded request with its expected answer.

    ``inputs`` and ``outputs`` map tensor names to nested lists of numbers, strings or booleans in row-major order;
    ``dtypes`` names the TensorFlow type of an input where the model's signature must not decide. A float answer is
    accepted when ``abs(got - want) <= absolute + relative * abs(want)``.
    """

    name: str
    inputs: Mapping[str, object]
    outputs: Mapping[str, object]
    version: int | None = None
    signature: str = "serving_default"
    absolute: float = 1e-5
    relative: float = 1e-4
    dtypes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DesiredModel:
    """A model with its versions resolved to numbers and read from disk.

    ``signatures`` holds those of every version that lies in the model's source, also of versions not wanted: a host
    may serve one of them now.
    """

    name: str
    versions: tuple[ModelVersion, ...]
    labels: Mapping[str, int]
    golden: tuple[GoldenRequest, ...]
    signatures: Mapping[int, KnownSignatures] = field(default_factory=dict)
    allow_signature_change: bool = False

    @property
    def wanted(self) -> tuple[int, ...]:
        """The version numbers that shall be AVAILABLE, ascending."""
        return tuple(sorted(version.number for version in self.versions))


@dataclass(frozen=True)
class ContainerSpec:
    """Everything about a container whose change needs a new container. Field values are Docker API values.

    ``ports`` maps container ports to (host address, host port); ``mounts`` are (source, target) pairs, all read-only.
    ``fingerprints`` holds what stands for the secrets of ``environment`` in records and in the hash.
    """

    name: str
    image: str
    image_id: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[tuple[str, str], ...]
    ports: Mapping[int, tuple[str, int]]
    runtime: str
    user: str
    memory_bytes: int = 0
    pids_limit: int = 4096
    restart: str = "unless-stopped"
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> dict[str, object]:
        """The spec as plain JSON values, keys sorted by :func:`json.dumps` where it matters. No secret is in it."""
        plain: dict[str, object] = json.loads(json.dumps(asdict(self), sort_keys=True))
        del plain["fingerprints"]
        return {**plain, "environment": {**self.environment, **self.fingerprints}}

    @property
    def spec_hash(self) -> str:
        """The first 16 hex digits of the SHA-256 of all fields."""
        return spec_hash(self.fields())


def spec_hash(fields: Mapping[str, object]) -> str:
    """The hash of a container's fields, also of those kept in a release record."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class DesiredService:
    """A service resolved for one host: nothing in it depends on what the host has, but its address and image id."""

    wish: ServiceWish
    models: tuple[DesiredModel, ...]
    config_text: str
    config_shown: str = ""
    """Where a secret was rendered into ``config_text``: the same without it. Empty where none was."""
    recorded: ContainerSpec | None = None
    """The container of a recorded release that the host shall go back to, in place of the one that ``wish`` describes;
    the wish's image is that container's image id then."""
    took_back: str = ""
    """The content hash of the release that is left for this one by ``rollback``; empty for any other."""

    @property
    def name(self) -> str:
        return self.wish.name

    @property
    def directory(self) -> PurePosixPath:
        return self.wish.directory

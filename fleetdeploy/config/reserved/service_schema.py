"""The reserved variables ``gpus``, ``services`` and ``balancer``: their keys, units, ranges and cross-field rules."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from fleetdeploy.config.fields.gpus import Capability, Driver, WantedCapability, WantedDriver
from fleetdeploy.config.fields.memory import ContainerMemory, GpuMemory
from fleetdeploy.config.fields.server_flags import ServerFlags
from fleetdeploy.config.fields.values import (
    VERSION_SCHEMA,
    Bind,
    EnvironmentName,
    Image,
    LocalPath,
    Name,
    PoolName,
    Port,
    RemoteDirectory,
    TemplateName,
    TextOrSecret,
    User,
    Version,
    binds_everything,
    parse_version,
)
from fleetdeploy.config.syntax.refusal import NotA, Refused, Several
from fleetdeploy.domain.service import GpuRequest, VersionsWish

MOST_DEVICES = 1024
_OWNED_ENVIRONMENT = frozenset({"NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"})


def parse_gpu_request(value: object) -> GpuRequest:
    """``all``, ``none``, ``{count: 2}`` or ``{devices: [0, 1]}``."""
    if value == "all":
        return GpuRequest(all=True)
    if value == "none":
        return GpuRequest()
    if not isinstance(value, dict) or not value.keys() & {"count", "devices"}:
        raise NotA("a choice of GPUs", "`{devices: [0, 1]}`, `{count: 2}`, all or none")
    for key in value:
        if key not in {"count", "devices"}:
            raise Refused(f"unknown key {key!r}", "keys here: count, devices", at=())
    if len(value) == 2:
        raise Refused("both `devices` and `count` are set", "keep one; `devices: null` removes what an outer group set")
    if "count" in value:
        count = value["count"]
        if type(count) is not int or not 1 <= count <= MOST_DEVICES:
            raise NotA("a count of GPUs", f"a number from 1 to {MOST_DEVICES}", at=("count",))
        return GpuRequest(count=count)
    return GpuRequest(devices=_devices(value["devices"]))


def _devices(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not value:
        raise NotA("a list of GPU indexes", "something like [0, 1]", at=("devices",))
    wrong = [index for index, item in enumerate(value) if type(item) is not int or not 0 <= item < MOST_DEVICES]
    if wrong:
        raise Several(NotA("a GPU index", "a number from 0", at=("devices", index)) for index in wrong)
    if len(set(value)) < len(value):
        raise Refused("a GPU is listed twice", "list each once", at=("devices",))
    return tuple(value)


def parse_versions(value: object) -> VersionsWish:
    """``[7, 8]``, ``latest`` or ``{latest: 2}``."""
    if value == "latest":
        return VersionsWish(latest=1)
    if isinstance(value, dict):
        count = value.get("latest")
        if set(value) != {"latest"} or type(count) is not int or not 1 <= count <= 100:
            raise Refused("a mapping of versions has the one key `latest`", "write {latest: 2}, at most 100")
        return VersionsWish(latest=count)
    if not isinstance(value, list):
        raise NotA("a list of versions", "something like [7], or `latest`, or {latest: 2}")
    if not value:
        raise Refused("no version is listed", "a server waits forever for a model without versions; list at least one")
    numbers, wrong = [], []
    for index, item in enumerate(value):
        try:
            numbers.append(parse_version(item))
        except NotA as error:
            wrong.append(NotA(error.what, error.hint.removeprefix("expected "), at=(index,)))
    if wrong:
        raise Several(wrong)
    if len(set(numbers)) < len(numbers):
        raise Refused("a version is listed twice", "list each once")
    return VersionsWish(numbers=tuple(numbers))


def parse_pinned(value: object) -> tuple[int, ...]:
    """A list of version numbers, maybe empty."""
    if not isinstance(value, list):
        raise NotA("a list of versions", "something like [5]")
    return parse_versions(value).numbers if value else ()


def _check_environment_name(name: str) -> str:
    if name in _OWNED_ENVIRONMENT:
        raise Refused("set by fleetdeploy", "say `gpus:` which devices the service gets")
    return name


_GPU_CHOICE: dict[str, object] = {
    "title": "choice of GPUs",
    "type": ["string", "object"],
    "pattern": "^(all|none)$",
    "properties": {
        "count": {"type": "integer", "minimum": 1, "maximum": MOST_DEVICES},
        "devices": {
            "type": "array",
            "items": {"type": "integer", "minimum": 0, "maximum": MOST_DEVICES - 1},
            "minItems": 1,
            "uniqueItems": True,
        },
    },
    "additionalProperties": False,
    "minProperties": 1,
    "not": {
        "type": "object",
        "required": ["count", "devices"],
        "properties": {"count": {"type": "integer"}, "devices": {"type": "array"}},
    },
}
_VERSIONS: dict[str, object] = {
    "title": "versions",
    "type": ["string", "array", "object"],
    "pattern": "^latest$",
    "items": VERSION_SCHEMA,
    "minItems": 1,
    "uniqueItems": True,
    "properties": {"latest": {"type": "integer", "minimum": 1, "maximum": 100}},
    "additionalProperties": False,
    "minProperties": 1,
}
GpuChoice = Annotated[GpuRequest, PlainValidator(parse_gpu_request), WithJsonSchema(_GPU_CHOICE)]
_PINNED: dict[str, object] = {"title": "versions", "type": "array", "items": VERSION_SCHEMA, "uniqueItems": True}
Versions = Annotated[VersionsWish, PlainValidator(parse_versions), WithJsonSchema(_VERSIONS)]
Pinned = Annotated[tuple[int, ...], PlainValidator(parse_pinned), WithJsonSchema(_PINNED)]
VariableName = Annotated[EnvironmentName, AfterValidator(_check_environment_name)]
RuntimeName = Name


class Fields(BaseModel):
    """What all schema models share: strict types, no unknown keys, no change after checking."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class GpusFields(Fields):
    """``gpus``: what a host has."""

    count: int = Field(ge=0, le=MOST_DEVICES, description="how many GPUs the host has")
    model: str = Field(default="", description="the name nvidia-smi shows")
    memory: GpuMemory = Field(default=0, description="memory of each GPU, such as 80GiB")
    compute_capability: Capability = Field(default="", description='such as "8.0"')
    driver: Driver = Field(
        default="",
        description='the NVIDIA driver: "580.159.03", or its first parts, such as "580" for any of the branch',
    )


class RequiresFields(Fields):
    """``requires``: what one loaded version of a model needs of a GPU."""

    gpu_memory: GpuMemory = Field(
        default=0,
        description="GPU memory that each loaded version needs, such as 12GiB; old and new both do during a hot reload",
    )
    compute_capability: WantedCapability = Field(default="", description='such as ">=7.0"')
    driver: WantedDriver = Field(
        default="", description='the NVIDIA driver, such as ">=535" or ">=535.104.05", compared part by part'
    )


class ModelFields(Fields):
    """One model of a service."""

    source: LocalPath = Field(description="the directory of the numeric version directories, relative to the inventory")
    versions: Versions = Field(description="a list of version numbers, or `latest`, or {latest: 2}")
    labels: dict[Name, Version] = Field(default_factory=dict, description="names for versions that are served")
    golden: LocalPath = Field(description="a file of recorded requests and answers, or `none` to go without proof")
    requires: RequiresFields = Field(default_factory=RequiresFields, description="what the model needs of a GPU")
    accept_incomplete: bool = Field(default=False, description="ship versions whose checkpoint files are not complete")
    allow_signature_change: bool = Field(
        default=False, description="serve versions after whose signatures callers of the served version fail"
    )
    pinned: Pinned = Field(default=(), description="versions that `prune` never removes from a host, such as [5]")

    @model_validator(mode="after")
    def _labels_are_served(self) -> ModelFields:
        numbers = self.versions.numbers
        wrong = [label for label, number in self.labels.items() if numbers and number not in numbers]
        if wrong:
            listed = ", ".join(map(str, numbers))
            raise Several(
                Refused(
                    f"version {self.labels[label]} is not among the versions listed ({listed})",
                    "list the version too, or move the label",
                    at=("labels", label),
                )
                for label in wrong
            )
        return self


class PortsFields(Fields):
    """Host ports a service publishes."""

    grpc: Port = Field(description="the host's port for gRPC")
    rest: Port = Field(description="the host's port for REST")

    @model_validator(mode="after")
    def _differ(self) -> PortsFields:
        if self.grpc == self.rest:
            raise Refused("the same port for gRPC and REST", "the server would skip REST; use two ports", at=("rest",))
        return self


class ServiceFields(Fields):
    """One service: a TF Serving container on each of its hosts."""

    image: Image = Field(description="the container image, best with its digest")
    runtime: RuntimeName = Field(default="nvidia", description="the Docker runtime, such as nvidia or runc")
    gpus: GpuChoice = Field(default=GpuRequest(), description="{devices: [0, 1]}, {count: 2}, all or none")
    ports: PortsFields = Field(description="{grpc: 8500, rest: 8501}")
    bind: Bind = Field(description="the address to listen on, or the network the host's address is in")
    expose: bool = Field(default=False, description="allow a bind address that is reachable from everywhere")
    directory: RemoteDirectory | None = Field(default=None, description="where services keep their files on the host")
    template: TemplateName = Field(default="model.config.j2", description="the template of model.config")
    flags: ServerFlags = Field(default_factory=dict, description="further flags of the server")
    environment: dict[VariableName, TextOrSecret] = Field(
        default_factory=dict, description="environment of the container"
    )
    user: User = Field(default="65534:65534", description="who the server runs as: uid:gid")
    memory: ContainerMemory = Field(default=0, description="memory limit of the container, such as 16GiB; 0 sets none")
    metrics: bool = Field(
        default=False,
        description="have the server tell what it counts, for Prometheus, on its REST port at "
        "/monitoring/prometheus/metrics; where no balancer counts, a run's report then tells requests and errors",
    )
    models: dict[Name, ModelFields] = Field(min_length=1, description="the models it serves, by name")

    @model_validator(mode="after")
    def _bind_is_meant(self) -> ServiceFields:
        if binds_everything(self.bind) and not self.expose:
            raise Refused(
                f"{self.bind} listens on every address, and the server asks nobody for a password",
                "bind to an internal address or network, or say `expose: true`",
                at=("bind",),
            )
        return self

    @model_validator(mode="after")
    def _metrics_are_told_once(self) -> ServiceFields:
        if self.metrics and "monitoring_config_file" in self.flags:
            raise Refused(
                "`metrics: true` sets this flag, to a file that fleetdeploy writes",
                "remove the flag; or, to keep a file of your own, remove `metrics`",
                at=("flags", "monitoring_config_file"),
            )
        return self


class BalancerFields(Fields):
    """``balancer``: who sends a host its traffic."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = Field(description="the kind of balancer: haproxy")
    host: str = Field(description="the inventory host that runs the balancer")
    socket: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9_.-]+)+$")] = Field(description="its runtime socket there")
    pools: dict[Name, list[PoolName]] = Field(min_length=1, description="the pools that feed each service")
    server: PoolName = Field(default="", description="this host's name in every pool; the inventory's name by default")
    notes: bool = Field(
        default=True,
        description="whether it may be told, in a variable of its own process, which run keeps a lost host out;"
        " false where tune.vars.proc-max-size or tune.vars.global-max-size are set: HAProxy ends when they are used up",
    )

    @model_validator(mode="after")
    def _pools_are_named(self) -> BalancerFields:
        empty = [service for service, pools in self.pools.items() if not pools]
        if empty:
            raise Several(
                Refused("no pool is listed", "list the pools that send this service traffic", at=("pools", service))
                for service in empty
            )
        return self

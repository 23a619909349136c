"""From checked fields to the domain's wishes: names put in, paths made relative to the inventory that set them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fleetdeploy.config.reserved.service_schema import BalancerFields, GpusFields, ModelFields, ServiceFields
from fleetdeploy.config.syntax.nodes import MapNode, key_origin_of, origin_of
from fleetdeploy.config.syntax.text_file import home_path
from fleetdeploy.domain.inventory import BalancerWish, DeclaredGpus
from fleetdeploy.domain.origin import Origin
from fleetdeploy.domain.service import ModelWish, Ports, Requirements, ServiceWish

BaseOf = Callable[[Origin], Path]
"""The directory that relative paths in the file of an origin start from."""

NO_GOLDEN = "none"
_PLACED = ("source", "versions", "labels", "golden", "requires")
"""The keys of a model whose places later messages name."""


def local_path(text: str, origin: Origin, base_of: BaseOf) -> Path:
    """A path of the controller: ``~`` expanded, a relative one taken from the inventory directory of its file."""
    return base_of(origin) / home_path(text)


def service_wish(name: str, fields: ServiceFields, node: MapNode, *, base_of: BaseOf) -> ServiceWish:
    """A service; ``node`` is the merged ``services`` mapping that ``fields`` was read from."""
    models = tuple(_model_wish(name, key, model, node, base_of) for key, model in fields.models.items())
    return ServiceWish(
        name=name,
        image=fields.image,
        ports=Ports(fields.ports.grpc, fields.ports.rest),
        bind=fields.bind,
        models=models,
        runtime=fields.runtime,
        gpus=fields.gpus,
        expose=fields.expose,
        template=fields.template,
        flags=dict(fields.flags),
        environment=dict(fields.environment),
        user=fields.user,
        memory_bytes=fields.memory,
        metrics=fields.metrics,
        where=str(key_origin_of(node, (name,))),
        **({"base_dir": fields.directory} if fields.directory else {}),
    )


def _model_wish(service: str, name: str, fields: ModelFields, node: MapNode, base_of: BaseOf) -> ModelWish:
    path = (service, "models", name)
    golden = None
    if fields.golden != NO_GOLDEN:
        golden = local_path(fields.golden, origin_of(node, (*path, "golden")), base_of)
    return ModelWish(
        name=name,
        source=local_path(fields.source, origin_of(node, (*path, "source")), base_of),
        versions=fields.versions,
        labels=dict(fields.labels),
        golden=golden,
        accept_incomplete=fields.accept_incomplete,
        allow_signature_change=fields.allow_signature_change,
        pinned=fields.pinned,
        requires=Requirements(
            gpu_memory_bytes=fields.requires.gpu_memory,
            compute_capability=fields.requires.compute_capability,
            driver=fields.requires.driver,
        ),
        places={key: str(origin_of(node, (*path, key))) for key in _PLACED},
    )


def declared_gpus(fields: GpusFields) -> DeclaredGpus:
    """What a host has."""
    return DeclaredGpus(
        count=fields.count,
        model=fields.model,
        memory_bytes=fields.memory,
        compute_capability=fields.compute_capability,
        driver=fields.driver,
    )


def balancer_wish(fields: BalancerFields, host: str) -> BalancerWish:
    """The balancer of ``host``, which is known to it by its inventory name unless ``server`` says otherwise."""
    return BalancerWish(
        kind=fields.kind,
        host=fields.host,
        socket=fields.socket,
        server=fields.server or host,
        pools={service: tuple(pools) for service, pools in fields.pools.items()},
        notes=fields.notes,
    )

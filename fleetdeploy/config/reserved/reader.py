"""The reserved variables of each host, checked and turned into wishes; equal ones are checked once for all hosts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from pydantic import BaseModel

from fleetdeploy.config.fields.schema import check, shown
from fleetdeploy.config.fields.values import parse_name
from fleetdeploy.config.reserved.names import BALANCER, GPUS, SERVICES
from fleetdeploy.config.reserved.service_schema import BalancerFields, GpusFields, ServiceFields
from fleetdeploy.config.reserved.wishes import BaseOf, balancer_wish, declared_gpus, service_wish
from fleetdeploy.config.syntax.nodes import MapNode, Node, find, key_origin_of, origin_of
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.inventory import BalancerWish, DeclaredGpus
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.errors import Problem

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class ReservedReader:
    """Reads ``gpus``, ``services`` and ``balancer``. Problems are collected, each one once."""

    def __init__(self, base_of: BaseOf) -> None:
        self.problems: list[Problem] = []
        self._base_of = base_of
        self._done: dict[tuple[str, int], tuple[Node, object]] = {}

    def gpus(self, variables: MapNode) -> DeclaredGpus | None:
        fields = self._fields(GPUS, variables, GpusFields)
        return declared_gpus(fields) if fields else None

    def services(self, variables: MapNode, gpus: DeclaredGpus | None) -> tuple[ServiceWish, ...]:
        node = variables.get(SERVICES)
        if node is None:
            return ()
        services = self._once(SERVICES, node, lambda: self._services(node))
        if gpus is not None:
            self._check_devices(services, gpus, node)
        return services

    def balancer(self, variables: MapNode, host: str) -> BalancerWish | None:
        fields = self._fields(BALANCER, variables, BalancerFields)
        return balancer_wish(fields, host) if fields else None

    def check_balancer(
        self,
        variables: MapNode,
        *,
        hosts: Iterable[str],
        services: Iterable[str] | None,
        kinds: Collection[str] | None = None,
    ) -> None:
        """What a balancer names must exist somewhere in the inventory; None for services that could not all be read.

        ``kinds`` are the kinds of balancers that there are, None for any.
        """
        node = variables.get(BALANCER)
        fields = self._fields(BALANCER, variables, BalancerFields)
        if node is None or fields is None:
            return
        self._once("names", node, lambda: self._check_names(node, fields, set(hosts), services))
        if kinds is not None and fields.kind not in kinds:
            self._once("kind", node, lambda: self._refuse_kind(node, fields.kind, kinds))

    def _check_names(self, node: Node, fields: BalancerFields, hosts: set[str], services: Iterable[str] | None) -> None:
        if fields.host not in hosts:
            self._problem(
                "balancer.host",
                f"the inventory has no host {fields.host!r}",
                node,
                ("host",),
                hint_for(fields.host, hosts, what="hosts"),
            )
        if services is None:
            return
        for service in fields.pools:
            if service not in services:
                self._problem(
                    f"balancer.pools.{service}",
                    "no host of the inventory has this service",
                    node,
                    ("pools", service),
                    hint_for(service, services, what="services"),
                )

    def _refuse_kind(self, node: Node, kind: str, kinds: Collection[str]) -> None:
        hint = hint_for(kind, kinds, what="there is")
        self._problem("balancer.kind", f"{kind!r} is no kind of balancer", node, ("kind",), hint)

    def _once(self, kind: str, node: Node, make: Callable[[], T]) -> T:
        """The result for a node, made once: hosts of one group share it. It is kept, so that its id stays its own."""
        key = (kind, id(node))
        if key not in self._done:
            self._done[key] = (node, make())
        return self._done[key][1]  # type: ignore[return-value]  # `kind` decides the type

    def _fields(self, name: str, variables: MapNode, model: type[M]) -> M | None:
        node = variables.get(name)
        if node is None:
            return None
        return self._once(name, node, lambda: check(model, node, self.problems, what=name))

    def _services(self, node: Node) -> tuple[ServiceWish, ...]:
        if not isinstance(node, MapNode):
            self._problem(
                SERVICES,
                f"expected a mapping of services, got {shown(node)}",
                node,
                (),
                "write each service's name, below it its keys",
            )
            return ()
        wishes = []
        for entry in node:
            name = entry.key.raw
            try:
                parse_name(entry.key.value)
            except Refused as error:
                self.problems.append(
                    Problem(f"{SERVICES}: {name[:80]!r} is {error.message}", str(entry.key.origin), error.hint)
                )
                continue
            fields = check(ServiceFields, entry.value, self.problems, what=f"{SERVICES}.{name}")
            if fields:
                wishes.append(service_wish(name, fields, node, base_of=self._base_of))
        self._check_ports(wishes, node)
        return tuple(wishes)

    def _check_ports(self, wishes: list[ServiceWish], node: MapNode) -> None:
        taken: dict[int, str] = {}
        for wish in wishes:
            for key, port in (("grpc", wish.ports.grpc), ("rest", wish.ports.rest)):
                other = taken.setdefault(port, wish.name)
                if other != wish.name:
                    self._problem(
                        f"{SERVICES}.{wish.name}.ports.{key}",
                        f"port {port} is taken by service {other!r}",
                        node,
                        (wish.name, "ports", key),
                        "give each service of a host its own ports",
                    )

    def _check_devices(self, services: tuple[ServiceWish, ...], gpus: DeclaredGpus, node: Node) -> None:
        for wish in services:
            wanted = max((*(device + 1 for device in wish.gpus.devices), wish.gpus.count))
            if wanted <= gpus.count and not (wish.gpus.all and gpus.count == 0):
                continue
            path = (wish.name, GPUS)
            detail = f"GPU {wanted - 1}" if wish.gpus.devices else f"{wanted or 'all'} GPUs"
            message = f"{detail} wanted, but `gpus.count` declares {gpus.count}"
            problem = Problem(
                f"{SERVICES}.{wish.name}.gpus: {message}",
                str(origin_of(node, path)),
                "indexes count from 0; choose devices that every host of the group has",
            )
            if problem not in self.problems:
                self.problems.append(problem)

    def _problem(self, path: str, message: str, node: Node, place: tuple[str, ...], hint: str) -> None:
        where = origin_of(node, place) if find(node, place) else key_origin_of(node, place)
        self.problems.append(Problem(f"{path}: {message}", str(where), hint))

"""All names that outputs cannot do without: a secret that stands in one of them is refused."""

from __future__ import annotations

from collections.abc import Mapping

from fleetdeploy.config.reserved import service_schema
from fleetdeploy.domain.inventory import Inventory

_KEYS = frozenset(
    key
    for fields in (
        service_schema.GpusFields,
        service_schema.ServiceFields,
        service_schema.PortsFields,
        service_schema.ModelFields,
        service_schema.RequiresFields,
        service_schema.BalancerFields,
    )
    for key in fields.model_fields
)


def public_names(inventory: Inventory) -> Mapping[str, str]:
    """The names of an inventory and the keys of reserved variables, each with what it is the name of."""
    services = [service for host in inventory.hosts.values() for service in host.services]
    return {
        **dict.fromkeys(_KEYS, "key of the inventory"),
        **dict.fromkeys((model.name for service in services for model in service.models), "model"),
        **dict.fromkeys((service.name for service in services), "service"),
        **dict.fromkeys(inventory.groups, "group"),
        **dict.fromkeys(inventory.hosts, "host"),
    }

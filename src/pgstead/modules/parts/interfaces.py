"""Network interfaces of guests: variables in the forms that the modules of old have had."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from pgstead.machine import Nic
from pgstead.modules.parts.cloud import CloudServer, on_port
from pgstead.modules.parts.model import (
    Address,
    Line,
    Mac,
    Many,
    MaybeAddress,
    MaybeLine,
    Model,
    PrefixLength,
    problem,
)

__all__ = ["Interfaces", "LibvirtNetwork", "MacvtapInterface", "network_cards", "wanted_address"]


class _Interface(Model):
    """What interfaces of both kinds have."""

    ip: MaybeAddress = Field(
        default=None, description="Address of the machine there; only the first can be left out."
    )
    mac: Mac = Field(default=None, description="MAC address; without one, pgstead makes it.")
    prefix_length: PrefixLength = Field(
        default=None, description="Bits of the network's part; without them, the platform's."
    )
    gateway: MaybeAddress = Field(default=None, description="The network's gateway.")
    dns_servers: Many[Address] = Field(default=(), description="DNS servers to ask there.")


class LibvirtNetwork(_Interface):
    """An interface on a libvirt network."""

    network_id: MaybeLine = Field(default=None, description="UUID of the network; or its name:")
    network_name: MaybeLine = Field(default=None, description="Name of the network.")

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if (self.network_id is None) == (self.network_name is None):
            raise ValueError("give one of network_id and network_name, and leave the other empty")
        return self


class MacvtapInterface(_Interface):
    """An interface that shares one of the host's."""

    interface: Line = Field(min_length=1, description="The host's interface.")


def _one_or_many(value: Any) -> Any:
    if isinstance(value, dict):
        return (value,) if value else ()
    return () if value is None else value


def _schema(schema: dict[str, Any]) -> None:
    """One mapping, or a list of them."""
    items = schema.pop("items")
    schema.pop("type")
    schema["anyOf"] = [items, {"type": "array", "items": items}]


class Interfaces(CloudServer):
    """Variables that say what a machine is connected to; all are for guests, but for `ip`.

    Either lists of interfaces, or one interface by the variables network_id or
    macvtap_interface and those about it, or a cloud's port, or none of them: then the
    platform's network.
    """

    ip: MaybeAddress = Field(
        default=None, description="Address of the machine; without one, pgstead finds a free one."
    )
    mac: Mac = Field(default=None, description="MAC address; without one, pgstead makes it.")
    network_id: MaybeLine = Field(
        default=None, description="UUID of the libvirt network that the machine is connected to."
    )
    macvtap_interface: MaybeLine = Field(
        default=None, description="The host's interface that the machine shares; no network_id."
    )
    macvtap_vm_interface_name_match: Line = Field(
        default="en*",
        min_length=1,
        description="Pattern of the interface's name in the machine; for macvtap_interface only.",
    )
    macvtap_subnet_prefix_length: PrefixLength = Field(
        default=None, description="Bits of the network's part; for macvtap_interface only."
    )
    macvtap_gateway_ip: MaybeAddress = Field(
        default=None, description="The network's gateway; for macvtap_interface only."
    )
    macvtap_dns_servers: Many[Address] = Field(
        default=(), description="DNS servers to ask; for macvtap_interface only."
    )
    libvirt_network: Annotated[Many[LibvirtNetwork], BeforeValidator(_one_or_many)] = Field(
        default=(),
        description="Interfaces on libvirt networks: one mapping, or a list.",
        json_schema_extra=_schema,
    )
    libvirt_networks: Many[LibvirtNetwork] = Field(
        default=(), description="Interfaces on libvirt networks; another name of libvirt_network."
    )
    macvtap_interfaces: Many[MacvtapInterface] = Field(
        default=(), description="Interfaces that share the host's."
    )

    @property
    def listed(self) -> tuple[LibvirtNetwork | MacvtapInterface, ...]:
        """The interfaces of the lists; services bind to the first one."""
        return (*self.libvirt_network, *self.libvirt_networks, *self.macvtap_interfaces)

    @property
    def wanted_ip(self) -> str | None:
        """The address that these variables give, as `wanted_address` tells it from the tree."""
        port = self.network_port
        return self.ip or (self.listed[0].ip if self.listed else port.ip if port else None)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.libvirt_network and self.libvirt_networks:
            raise ValueError("give one of libvirt_network and libvirt_networks")
        if self.network_id is not None and self.macvtap_interface is not None:
            raise ValueError("give one of network_id and macvtap_interface")
        flat = [name for name in ("network_id", "macvtap_interface", "mac") if getattr(self, name)]
        if self.listed and flat:
            raise ValueError(f"{flat[0]} does not go with a list of interfaces: say it there")
        if self.network_port is not None and (self.listed or flat):
            raise problem("does not go with libvirt's interfaces: give one of them", "network_port")
        return self

    @model_validator(mode="after")
    def _about_a_macvtap_interface(self) -> Self:
        about = (
            "macvtap_vm_interface_name_match",
            "macvtap_subnet_prefix_length",
            "macvtap_gateway_ip",
            "macvtap_dns_servers",
        )
        given = [name for name in about if getattr(self, name) != _default(name)]
        if given and self.macvtap_interface is None:
            raise problem("is for macvtap_interface, which is not given", given[0])
        return self

    @model_validator(mode="after")
    def _addresses_are_known(self) -> Self:
        if self.listed and self.ip is not None and self.listed[0].ip not in (None, self.ip):
            raise problem(f"is {self.ip}, but the first interface's is {self.listed[0].ip}", "ip")
        port = self.network_port
        if port is not None and self.ip is not None and port.ip not in (None, self.ip):
            raise problem(f"is {self.ip}, but network_port's is {port.ip}", "ip")
        if any(one.ip is None for one in self.listed[1:]):
            raise ValueError("every interface but the first needs its ip")
        return self


def wanted_address(get: Callable[[str], Any]) -> Any:
    """The address that a module's variables give, by `get(variable)`; None if they give none.

    It is asked for before the variables are checked: whatever stands there may come back.
    """
    names = ("libvirt_network", "libvirt_networks", "macvtap_interfaces", "network_port")
    lists = (get(name) for name in names)
    return get("ip") or next((_first(one) for one in lists if one), None) or None


def _first(interfaces: Any) -> Any:
    many = isinstance(interfaces, Sequence) and not isinstance(interfaces, str)
    first = interfaces[0] if many else interfaces
    return first.get("ip") if isinstance(first, Mapping) else None


def network_cards(variables: Interfaces, address: str) -> tuple[Nic, ...]:
    """The machine's interfaces; the first one has its address."""
    return tuple(_cards(variables, address))


def _cards(variables: Interfaces, address: str) -> Iterator[Nic]:
    if not variables.listed:
        yield on_port(_flat(variables, address), variables)
    for one in variables.listed:
        libvirt = one if isinstance(one, LibvirtNetwork) else None
        yield Nic(
            address=one.ip or address,
            prefix_length=one.prefix_length,
            network_id=libvirt.network_id if libvirt else None,
            network_name=libvirt.network_name if libvirt else None,
            macvtap=None if isinstance(one, LibvirtNetwork) else one.interface,
            mac=one.mac,
            gateway=one.gateway,
            dns_servers=one.dns_servers,
        )


def _flat(variables: Interfaces, address: str) -> Nic:
    macvtap = variables.macvtap_interface
    return Nic(
        address=address,
        prefix_length=variables.macvtap_subnet_prefix_length,
        network_id=variables.network_id,
        macvtap=macvtap,
        mac=variables.mac,
        gateway=variables.macvtap_gateway_ip,
        dns_servers=variables.macvtap_dns_servers,
        match=None if macvtap is None else variables.macvtap_vm_interface_name_match,
    )


def _default(name: str) -> Any:
    return Interfaces.model_fields[name].default

"""Variables of machines that are servers of a cloud; no other platform takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from pgstead.machine import Cloud, Nic, Port
from pgstead.modules.parts.model import (
    Line,
    Mac,
    Many,
    MaybeAddress,
    MaybeLine,
    Model,
    problem,
)

__all__ = ["CloudServer", "NetworkPort", "RequiredPort", "cloud", "existing_port", "on_port"]


class NetworkPort(Model):
    """A port of a network: an existing one, or one that the stack makes and removes."""

    id: MaybeLine = Field(
        default=None, description="Id or name of an existing port; then nothing else is given."
    )
    name: MaybeLine = Field(
        default=None, description="Name of the port that is made; by default the machine's."
    )
    network_id: MaybeLine = Field(
        default=None, description="Network that it is made on, by id or name; or the platform's."
    )
    subnet_id: MaybeLine = Field(
        default=None, description="Subnet of its address, by id or name; or one of the network's."
    )
    ip: MaybeAddress = Field(
        default=None, description="Fixed address; without one, a free one, which is remembered."
    )
    mac: Mac = Field(default=None, description="MAC address; without one, the cloud's choice.")
    security_group_ids: Many[Line] | None = Field(
        default=None,
        description=(
            "Existing security groups, by id or name; [] for none. Without a word, the stack"
            " makes one that lets in what the machine serves."
        ),
    )
    admin_state_up: bool = Field(default=True, description="Whether the port lets traffic pass.")

    @model_validator(mode="after")
    def _exists_or_is_made(self) -> Self:
        others = sorted(self.model_fields_set - {"id"})
        if self.id is not None and others:
            raise problem("is for a port that is made, but `id` names one", others[0])
        return self


def _named(value: Any) -> Any:
    if value == "":
        return None
    return {"id": value} if isinstance(value, str) else value


RequiredPort = Annotated[
    NetworkPort, BeforeValidator(_named, json_schema_input_type=NetworkPort | str)
]
"""A port; a text is an existing one's id or name."""

MaybePort = Annotated[
    NetworkPort | None, BeforeValidator(_named, json_schema_input_type=NetworkPort | str | None)
]
"""The same, or none, which an empty text is as well."""


class CloudServer(Model):
    """Where a cloud puts a machine. What is left out is as the platform says."""

    network_port: MaybePort = Field(
        default=None,
        description="Port of a cloud's network: an existing one by id or name, or one to make.",
    )
    keypair_name: MaybeLine = Field(
        default=None, description="Existing key pair whose key may log in, in a cloud."
    )
    availability_zone: MaybeLine = Field(
        default=None, description="Availability zone of the machine and its volumes, in a cloud."
    )
    security_groups: Many[Line] | None = Field(
        default=None,
        description="Existing security groups of a port that is made; as security_group_ids there.",
    )
    server_group: MaybeLine = Field(
        default=None,
        description="Existing server group, by id or name; by default one for each cluster.",
    )
    boot_from_volume: bool | None = Field(
        default=None, description="Whether a cloud keeps the system on a volume, of os_size GiB."
    )
    volume_type: MaybeLine = Field(
        default=None, description="Type of the volumes that are made in a cloud."
    )

    @model_validator(mode="after")
    def _groups_are_given_once(self) -> Self:
        port = self.network_port
        if self.security_groups is None or port is None:
            return self
        if port.id is not None:
            raise problem("is for a port that is made, but network_port names one", _GROUPS)
        if port.security_group_ids is not None:
            raise problem("is said in network_port already", _GROUPS)
        return self


_GROUPS = "security_groups"


def cloud(variables: CloudServer, flavor: str | None) -> Cloud:
    """What only a server of a cloud has."""
    return Cloud(
        flavor=flavor,
        key_pair=variables.keypair_name,
        availability_zone=variables.availability_zone,
        server_group=variables.server_group,
        boot_from_volume=variables.boot_from_volume,
        volume_type=variables.volume_type,
    )


def on_port(card: Nic, variables: CloudServer) -> Nic:
    """That interface, as these variables want its port; the same if they say nothing of one."""
    given, groups = variables.network_port, variables.security_groups
    if given is None:
        return card if groups is None else replace(card, port=Port(security_groups=groups))
    groups = given.security_group_ids if groups is None else groups
    return replace(
        card,
        network_id=given.network_id,
        mac=given.mac,
        port=Port(given.id, given.name, given.subnet_id, groups, given.admin_state_up),
    )


def existing_port(get: Callable[[str], Any]) -> str | None:
    """The existing port that a module's variables name, by `get(variable)`, if they do.

    It is asked for before the variables are checked.
    """
    given = get("network_port")
    named = given.get("id") if isinstance(given, Mapping) else given
    return named if isinstance(named, str) and named else None

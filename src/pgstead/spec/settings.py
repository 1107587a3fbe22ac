"""What a stack file says besides its modules: platform, state, authorities, passwords."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from pgstead.spec.libvirt import LibvirtPlatform
from pgstead.spec.models import Location, Model, Problems, Secret, Text
from pgstead.spec.openstack import OpenStackPlatform

FORMAT = 1
"""The stack file format that this pgstead reads and writes."""

_SCHEMES = ("sqlite:///", "postgresql://")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


def _stack_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("must be 1 to 40 lower-case letters, digits and inner hyphens")
    return value


def _user(value: str) -> str:
    if not _USER.fullmatch(value):
        raise ValueError("must be the name of a system user")
    return value


def _loopback(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"must be an IPv4 network such as 127.40.7.0/24 ({error})") from None
    if not network.subnet_of(ipaddress.IPv4Network("127.0.0.0/8")):
        raise ValueError("must lie in 127.0.0.0/8")
    if network.prefixlen > 28:  # noqa: PLR2004 - a quickstart has seven machines
        raise ValueError("must have room for 16 addresses: /28 or larger")
    return value


def _state_url(value: str) -> str:
    if not value.startswith(_SCHEMES):
        raise ValueError("must begin with sqlite:/// or postgresql://")
    return value


def _empty_for_none(value: Any) -> Any:
    return {} if value is None else value


class Binaries(Model):
    """Where the servers' programs are; what is left out is looked for on the system."""

    postgresql: Location | None = Field(
        None, description="The folder that holds postgres, initdb and pg_ctl."
    )
    etcd: Location | None = Field(None, description="The program etcd.")
    etcdctl: Location | None = Field(None, description="The program etcdctl.")
    haproxy: Location | None = Field(None, description="The program haproxy.")
    patroni: Location | None = Field(None, description="The program patroni, 4.0 or newer.")


class LocalPlatform(Model):
    """This machine: a folder and a loopback address for each of the stack's machines."""

    kind: Literal["local"] = Field("local", description="This machine.")
    user: Annotated[Text, AfterValidator(_user)] | None = Field(
        None,
        description="The system user that the servers run as. By default the one who runs "
        "pgstead; where that is root, postgres.",
    )
    folder: Location | None = Field(
        None, description="Where the machines' folders live; relative to the stack file."
    )
    network: Annotated[Text, AfterValidator(_loopback)] | None = Field(
        None,
        description="The loopback network that machines get their addresses from, e.g. "
        "127.40.7.0/24. By default one that is free.",
    )
    binaries: Binaries = Field(
        default_factory=Binaries,
        description="Programs to use instead of those found on the system.",
    )
    start_at_boot: bool = Field(
        False, description="Whether the stack starts again after this machine was rebooted."
    )


class MemoryPlatform(Model):
    """Machines that exist in pgstead's memory only: for tests, and to try plans out."""

    kind: Literal["memory"] = Field("memory", description="No machines at all: a rehearsal.")


Platform = Annotated[
    LocalPlatform | LibvirtPlatform | OpenStackPlatform | MemoryPlatform,
    Field(discriminator="kind"),
]


class State(Model):
    """Where pgstead keeps what it made."""

    url: Annotated[Text, AfterValidator(_state_url)] | None = Field(
        None,
        repr=False,
        description="sqlite:///PATH, or postgresql://... for a team. By default an SQLite file "
        "beside the stack file.",
    )


class Sentinel(Model):
    """What fences a leader whose machine is dead or frozen, faster than its lease ends."""

    enabled: bool = Field(
        True,
        description="Whether a cluster of several PostgreSQL servers has one. On the local "
        "platform `up` runs it; elsewhere `pgstead sentinel` does.",
    )


class CertificateAuthority(Model):
    """A certificate authority: generated where nothing is given."""

    key: Secret | None = Field(None, description="Its private key in PEM.")
    key_algorithm: Literal["ECDSA", "RSA", "ED25519"] | None = Field(
        None, description="The kind of its key; it is seen from the key where left out."
    )
    certificate: Text | None = Field(
        None, description="Its certificate in PEM. Alone it verifies, but cannot sign."
    )

    @model_validator(mode="after")
    def _pem(self) -> CertificateAuthority:
        if self.key is not None and self.certificate is None:
            raise Problems([(("certificate",), "is required beside key")])
        if self.certificate is not None and "-----BEGIN CERTIFICATE-----" not in self.certificate:
            raise Problems([(("certificate",), "must be a certificate in PEM")])
        if self.key is not None and "PRIVATE KEY-----" not in self.key.get_secret_value():
            raise Problems([(("key",), "must be a private key in PEM")])
        return self


def _one_line(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text or not text.isprintable():
        raise ValueError("must be one line of printable characters")
    return value


class Password(Model):
    """A password: generated where nothing is given."""

    value: Annotated[Secret, AfterValidator(_one_line)] | None = Field(
        None, description="The password itself, best as ${file:PATH} or ${env:NAME}."
    )


class StackSettings(Model):
    """The top level of a stack file, but for `cluster` and `modules`."""

    version: int = Field(FORMAT, description="The stack file's format.")
    name: Annotated[Text, AfterValidator(_stack_name)] = Field(
        description="The stack's name: 1 to 40 lower-case letters, digits and hyphens."
    )
    platform: Platform = Field(
        default_factory=LocalPlatform, description="The ground that the stack's machines stand on."
    )
    state: Annotated[State, BeforeValidator(_empty_for_none)] = Field(
        default_factory=State, description="Where pgstead keeps what it made."
    )
    production: bool = Field(
        False, description="Whether this stack serves real users; drills then want a confirmation."
    )
    sentinel: Annotated[Sentinel, BeforeValidator(_empty_for_none)] = Field(
        default_factory=Sentinel, description="What fences a leader that is dead or frozen."
    )
    certificate_authorities: dict[
        str,
        Annotated[
            CertificateAuthority,
            BeforeValidator(_empty_for_none, json_schema_input_type=CertificateAuthority | None),
        ],
    ] = Field({}, description="Certificate authorities by name; {} is one that pgstead makes.")
    passwords: dict[
        str,
        Annotated[
            Password, BeforeValidator(_empty_for_none, json_schema_input_type=Password | None)
        ],
    ] = Field({}, description="Passwords by name; {} is one that pgstead makes.")

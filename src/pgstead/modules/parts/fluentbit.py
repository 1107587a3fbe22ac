"""Logs and metrics by fluent-bit: from the journal to a node elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator

from pgstead.machine import Directory, File, OnChange, Package, Service, Software, path, unit_of
from pgstead.modules.base import Context
from pgstead.modules.parts import node_exporter
from pgstead.modules.parts.certificates import tls_files
from pgstead.modules.parts.fluentbit_dynamic import (
    CURRENT,
    CUSTOMIZATION,
    DynamicConfiguration,
    EtcdStore,
    dynamic_software,
)
from pgstead.modules.parts.forward import Forward, require_forward
from pgstead.modules.parts.model import Line, Model, Port, problem, reveal
from pgstead.modules.parts.scripts import folders, script, step
from pgstead.modules.parts.software import combine
from pgstead.render import render

__all__ = [
    "DEFAULTS",
    "EtcdFluentBit",
    "FluentBit",
    "PatroniFluentBit",
    "fluentbit_software",
    "plain",
]

PACKAGE = "pgstead.modules.parts"
NAME = "fluent-bit"
MAIN = "/etc/fluent-bit/pgstead.conf"
DEFAULTS = f"{CUSTOMIZATION}/default-config"
POSITIONS = "/var/lib/fluent-bit"
PROGRAM = "/opt/fluent-bit/bin/fluent-bit"


class Metrics(Model):
    """fluent-bit's metrics of itself."""

    enabled: bool = Field(default=False, description="Whether they are served.")
    port: Port = Field(default=2020, description="Port that they are served on.")


class FluentBit(Model):
    """Logs of a machine, forwarded by fluent-bit."""

    enabled: bool = Field(default=False, description="Whether to install and configure it.")
    node_exporter_tag: Line = Field(
        default="node-exporter",
        pattern=r"^\S*$",
        description="Tag of the node exporter's logs.",
    )
    metrics: Metrics = Field(default_factory=Metrics, description="Metrics of fluent-bit itself.")
    forward: Forward = Field(default_factory=Forward, description="Where logs are sent.")

    @model_validator(mode="after")
    def _nothing_is_replaced(self) -> Self:
        """Its configuration has no quotes, and replaces ${...} everywhere."""
        forward = self.forward
        for name in ("domain", "hostname", "shared_key"):
            value = getattr(forward, name)
            text = reveal(value) if name == "shared_key" else value or ""
            if "${" in text or text != text.strip():
                words = "must hold no ${, and neither begin nor end with a blank"
                raise problem(words, "forward", name)
        return self

    @property
    def tag(self) -> str:
        """The tag of the machine's main logs."""
        raise NotImplementedError

    def check(self, dynamic: DynamicConfiguration) -> None:
        """Raise `ValueError` if this does not go with that, or no log could be sent."""
        if dynamic.enabled and not self.enabled:
            raise problem("needs fluentbit.enabled", "fluentbit_dynamic_config")
        if self.enabled and not (self.tag and self.node_exporter_tag):
            raise problem("logs need a tag each", "fluentbit")
        if self.enabled and not dynamic.enabled:
            require_forward(self.forward, "fluentbit", "forward")


class EtcdFluentBit(FluentBit):
    """Logs of an etcd member and its machine, forwarded by fluent-bit."""

    etcd_tag: Line = Field(default="etcd", pattern=r"^\S*$", description="Tag of etcd's logs.")
    etcd: EtcdStore = Field(
        default_factory=EtcdStore,
        description="An etcd cluster that holds the configuration, which is kept current.",
    )

    @property
    def tag(self) -> str:
        """The tag of etcd's logs."""
        return self.etcd_tag

    def check(self, dynamic: DynamicConfiguration) -> None:
        """Raise `ValueError` if this does not go with that, or no log could be sent."""
        if dynamic.enabled and self.etcd.enabled:
            raise ValueError("give one of fluentbit.etcd and fluentbit_dynamic_config")
        super().check(dynamic.or_store(self.etcd))


class PatroniFluentBit(FluentBit):
    """Logs of a Patroni member and its machine, forwarded by fluent-bit."""

    patroni_tag: Line = Field(
        default="patroni", pattern=r"^\S*$", description="Tag of Patroni's and PostgreSQL's logs."
    )

    @property
    def tag(self) -> str:
        """The tag of Patroni's and PostgreSQL's logs."""
        return self.patroni_tag


def fluentbit_software(
    variables: FluentBit,
    dynamic: DynamicConfiguration,
    context: Context,
    machine: str,
    *,
    service: str,
    install: bool,
) -> Software:
    """The software of a machine whose logs fluent-bit forwards.

    `service` has the machine's main logs. The defaults are there
    for a dynamic configuration to refer to, too.
    """
    if not variables.enabled or context.facts.shares_kernel:
        return Software()
    if isinstance(variables, EtcdFluentBit):
        dynamic = dynamic.or_store(variables.etcd)
    logs = variables.tag, service
    exporter = variables.node_exporter_tag, node_exporter.SERVICE
    return combine(
        _program() if install else Software(),
        Software(
            directories=(
                Directory("/etc/fluent-bit", mode=0o755),
                Directory(CUSTOMIZATION, mode=0o755),
                Directory(DEFAULTS, mode=0o755),
                Directory(POSITIONS, mode=0o700),
            ),
            files=_files(variables, machine, (logs, exporter), dynamic=dynamic.enabled),
        ),
        dynamic_software(dynamic, install=install),
        Software(services=(_service(),)),
    )


def _program() -> Software:
    return Software(
        packages=tuple(Package(name) for name in ("ca-certificates", "curl", "gpg")),
        directories=folders(),
        files=(script(PACKAGE, "install-fluent-bit.j2", program=path(PROGRAM)),),
        setup=(step("install-fluent-bit", creates=PROGRAM),),
    )


def _files(
    variables: FluentBit, machine: str, logs: Sequence[tuple[str, str]], *, dynamic: bool
) -> tuple[File, ...]:
    forward = variables.forward
    defaults = [f"{DEFAULTS}/fluent-bit-{part}.conf" for part in ("service", "inputs", "output")]
    included = [f"{CURRENT}/index.conf"] if dynamic else defaults
    sources = [(tag, unit_of(service), f"{POSITIONS}/{service}.db") for tag, service in logs]
    ca = f"{DEFAULTS}/forward-ca.crt"
    return (
        _file(MAIN, "fluent-bit.conf.j2", included=[path(each) for each in included]),
        _file(defaults[0], "fluent-bit-service.conf.j2", metrics=variables.metrics),
        _file(
            defaults[1],
            "fluent-bit-inputs.conf.j2",
            sources=[(plain(tag), unit, path(place)) for tag, unit, place in sources],
        ),
        _file(
            defaults[2],
            "fluent-bit-output.conf.j2",
            secret=True,
            domain=plain(forward.domain or ""),
            port=forward.port,
            hostname=plain(forward.hostname or machine),
            shared_key=plain(reveal(forward.shared_key)),
            ca=path(ca),
        ),
        *(_ca(forward.ca_cert) if forward.ca_cert else ()),
    )


def _ca(text: str) -> tuple[File, ...]:
    return tls_files(DEFAULTS, {"forward-ca.crt": text}, owner="root", service=NAME)


def _file(place: str, template: str, *, secret: bool = False, **values: object) -> File:
    return File(
        place,
        render(PACKAGE, template, **values),
        mode=0o600 if secret else 0o644,
        secret=secret,
        on_change=OnChange.RELOAD,
        service=NAME,
    )


def _service() -> Service:
    """It reads the journal, which takes root or a group. HUP reads the configuration anew."""
    return Service(
        NAME,
        (path(PROGRAM), "--config", path(MAIN), "--enable-hot-reload"),
        reload_signal="HUP",
        stop_seconds=15,
        guest_only=True,
    )


def plain(value: object) -> str:
    """`value` as the rest of a line, the way fluent-bit reads it: no quotes, and ${} replaced."""
    text = str(value)
    if not text.isprintable() or "${" in text or text != text.strip():
        raise ValueError("a value of fluent-bit's configuration would be read as another")
    return text

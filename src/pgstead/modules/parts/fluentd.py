"""Logs by fluentd: from the journal to a node elsewhere."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, model_validator

from pgstead.machine import Directory, File, OnChange, Package, Service, Software, path, unit_of
from pgstead.modules.base import Context
from pgstead.modules.parts import node_exporter
from pgstead.modules.parts.certificates import tls_files
from pgstead.modules.parts.forward import Forward, require_forward
from pgstead.modules.parts.model import Line, Model, problem, reveal
from pgstead.modules.parts.scripts import folders, script, step
from pgstead.modules.parts.software import combine
from pgstead.render import render

__all__ = ["Buffer", "Fluentd", "fluentd_software", "quoted"]

PACKAGE = "pgstead.modules.parts"
FOLDER = "/etc/fluentd"
FILE = f"{FOLDER}/fluent.conf"
POSITIONS = "/var/lib/fluentd"
PROGRAM = "/usr/local/bin/fluentd"
PACKAGES = ("ruby", "ruby-dev", "build-essential", "libsystemd0")
"""What fluentd is built from as a gem: there is no package of it in Debian or Ubuntu."""

_BUFFER = re.compile(r"\s*<buffer(?:\s[^<>\n]*)?>\s*\n.*\n\s*</buffer>\s*", re.DOTALL)
_SECTION = re.compile(r"^\s*<(/?)(\w+)[^>\n]*>\s*$", re.MULTILINE)


class Buffer(Model):
    """How logs that wait to be sent are kept."""

    customized: bool = Field(default=False, description="Whether custom_value is used.")
    custom_value: str = Field(
        default="",
        description="A section of fluentd's configuration, <buffer> and </buffer> included.",
    )

    @model_validator(mode="after")
    def _is_one_section(self) -> Self:
        if self.customized and not _is_buffer(self.custom_value):
            raise problem("must be one section, from <buffer> to </buffer>", "custom_value")
        return self


class Fluentd(Model):
    """Logs of the load balancer and its machine, forwarded by fluentd."""

    enabled: bool = Field(default=False, description="Whether to install and configure fluentd.")
    load_balancer_tag: Line = Field(default="haproxy", description="Tag of HAProxy's logs.")
    node_exporter_tag: Line = Field(
        default="node-exporter", description="Tag of the node exporter's logs."
    )
    forward: Forward = Field(default_factory=Forward, description="Where logs are sent.")
    buffer: Buffer = Field(default_factory=Buffer, description="How logs wait to be sent.")

    @model_validator(mode="after")
    def _can_forward(self) -> Self:
        if self.enabled:
            _require_tags(self.load_balancer_tag, self.node_exporter_tag)
            require_forward(self.forward, "forward")
        return self


def fluentd_software(
    variables: Fluentd, context: Context, machine: str, *, service: str, install: bool
) -> Software:
    """The software of a machine whose logs fluentd forwards: those of `service` and its own."""
    if not variables.enabled or context.facts.shares_kernel:
        return Software()
    owned = Software(
        directories=(Directory(FOLDER, mode=0o755), Directory(POSITIONS, mode=0o700)),
        files=(
            _configuration(variables, machine, service),
            *tls_files(
                FOLDER, {"forward-ca.crt": variables.forward.ca_cert}, owner="root", service=NAME
            ),
        ),
        services=(_service(),),
    )
    return combine(_program() if install else Software(), owned)


NAME = "fluentd"


def _program() -> Software:
    return Software(
        packages=tuple(Package(name) for name in PACKAGES),
        directories=folders(),
        files=(script(PACKAGE, "install-fluentd.j2", program=path(PROGRAM)),),
        setup=(step("install-fluentd", creates=PROGRAM),),
    )


def _configuration(variables: Fluentd, machine: str, service: str) -> File:
    forward = variables.forward
    text = render(
        PACKAGE,
        "fluent.conf.j2",
        quoted=quoted,
        sources=[
            (variables.load_balancer_tag, unit_of(service), "load-balancer"),
            (variables.node_exporter_tag, unit_of(node_exporter.SERVICE), "node-exporter"),
        ],
        positions=path(POSITIONS),
        forward=forward,
        hostname=forward.hostname or machine,
        shared_key=reveal(forward.shared_key),
        ca=path(f"{FOLDER}/forward-ca.crt"),
        buffer=variables.buffer.custom_value.strip() if variables.buffer.customized else "",
    )
    return File(FILE, text, mode=0o600, secret=True, on_change=OnChange.RESTART, service=NAME)


def _service() -> Service:
    """It reads the journal, which takes root or a group; it listens nowhere."""
    return Service(
        NAME,
        (path(PROGRAM), "--config", path(FILE), "--no-supervisor"),
        stop_seconds=30,
        guest_only=True,
    )


def _require_tags(*tags: str) -> None:
    if not all(tags):
        raise ValueError("logs need a tag each")


def quoted(value: object) -> str:
    """`value` as a text in single quotes, in which fluentd replaces nothing."""
    text = str(value)
    if not text.isprintable():
        raise ValueError("a value of fluentd's configuration holds a control character")
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _is_buffer(text: str) -> bool:
    """Whether a text is one `<buffer>` section, with its inner sections closed in order."""
    if not _BUFFER.fullmatch(text):
        return False
    opened: list[str] = []
    outer = 0
    for found in _SECTION.finditer(text):
        outer += not opened
        if not found[1]:
            opened.append(found[2])
        elif not opened or opened.pop() != found[2]:
            return False
    return not opened and outer == 1

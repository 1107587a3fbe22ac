"""Machines without their secrets, for reading."""

from __future__ import annotations

from dataclasses import replace

from pgstead.machine import Machine
from pgstead.redaction import redact

HIDDEN = "***"


def hidden(machine: Machine) -> Machine:
    """The machine with its secrets taken out of it, before anything is quoted or encoded."""
    software, admin = machine.software, machine.guest.admin
    files = tuple(replace(one, content=redact(one.content)) for one in software.files)
    password = None if admin.password is None else HIDDEN
    return replace(
        machine,
        software=replace(software, files=files),
        guest=replace(machine.guest, admin=replace(admin, password=password)),
    )

"""Where a PostgreSQL server of its own keeps what, and what runs it: package or container."""

from __future__ import annotations

from pgstead.machine import File, OnChange, Probe, Service
from pgstead.render import render

__all__ = [
    "CONFIGURATION",
    "DATA",
    "FOLDER",
    "HBA",
    "HOME",
    "PASSWORD",
    "PORT",
    "SOCKETS",
    "TLS",
    "file",
    "service",
]

FOLDER = "/etc/postgresql"
TLS = f"{FOLDER}/tls"
CONFIGURATION = f"{FOLDER}/postgresql.conf"
HBA = f"{FOLDER}/pg_hba.conf"
PASSWORD = f"{FOLDER}/initdb-password"
HOME = "/var/lib/postgresql"
"""Where a data disk is mounted: the data folder is made beside its place, and renamed."""

DATA = f"{HOME}/data"
SOCKETS = "/run/postgresql"
PORT = 5432
PROBE = Probe(PORT)


def file(place: str, on_change: OnChange, **values: object) -> File:
    """A configuration file, of the template of its name."""
    template = f"{place.rpartition('/')[2]}.j2"
    return File(
        place,
        render("pgstead.modules.postgres_server", template, **values),
        mode=0o640,
        owner="postgres",
        on_change=on_change,
        service="postgres",
    )


def service(command: tuple[str, ...], *, user: str, ready: Probe = PROBE) -> Service:
    """INT is PostgreSQL's fast shutdown: sessions are ended, nothing is lost."""
    return Service(
        name="postgres",
        command=command,
        user=user,
        environment={"LANG": "C.UTF-8"},
        reload_signal="HUP",
        stop_signal="INT",
        stop_seconds=60,
        ready=ready,
    )

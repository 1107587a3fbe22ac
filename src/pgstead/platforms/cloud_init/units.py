"""systemd units of a machine's services."""

from __future__ import annotations

from collections.abc import Sequence

from pgstead.machine import Directory, Service
from pgstead.render import render

UNITS = "/etc/systemd/system"

_SIGNALS = {"HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "WINCH"}


def unit_name(service: str) -> str:
    """A service's unit: the one of its name, which takes the place of a package's own."""
    return f"{service}.service"


def unit_path(service: str) -> str:
    """Where a service's unit lies."""
    return f"{UNITS}/{unit_name(service)}"


def unit(service: Service, directories: Sequence[Directory] = (), mount: str | None = None) -> str:
    """The text of a service's unit.

    It is started after the network and the data disk, again whenever it ends, and for as
    long as it takes: on a slow host a server may need minutes for its first start.
    `directories` are the machine's, `mount` is where its data disk is mounted.
    """
    data = [one.path for one in directories if one.data]
    return render(
        "pgstead.platforms.cloud_init",
        "unit.service.j2",
        name=service.name,
        mounts=list(dict.fromkeys([*data, *([mount] if mount else [])])),
        user=service.user,
        environment=[_assignment(*item) for item in sorted(service.environment.items())],
        command=" ".join(map(word, service.command)),
        afterwards=" ".join(map(word, service.afterwards)),
        reload=_signal(service.reload_signal),
        stop=_signal(service.stop_signal),
        stop_seconds=service.stop_seconds,
        kill_mode="process" if service.spares_children else "mixed",
    )


def word(text: str) -> str:
    """A text as one word of a command line in a unit (systemd.service(5), systemd.syntax(7))."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    escaped = escaped.replace("\n", "\\n").replace("\t", "\\t")
    plain = bool(text) and all(one.isalnum() or one in "@%+=:,./_-$" for one in text)
    return escaped if plain else f'"{escaped}"'


def _assignment(key: str, value: str) -> str:
    """As `word`, but a dollar is no reference here."""
    return word(f"{key}={value}").replace("$$", "$")


def _signal(name: str) -> str:
    short = name.removeprefix("SIG")
    if short not in _SIGNALS:
        raise ValueError(f"{name!r} is no signal that a service takes")
    return f"SIG{short}"

"""The narrow waist: what a machine is, on no platform in particular.

Modules make machines; platforms turn them into what they have. Neither knows the other.

Texts (file contents, command arguments, environment values) name no place on any platform:
they hold tokens made by `path`, `binary` and `directory_of`, which a platform replaces
when it lowers the machine (`replace_tokens`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from pgstead.membership import Membership

BOOTSTRAP_ONLY = "# bootstrap only"
"""Ends a line `key: value` that a server reads at its first start alone.

Such lines stand in no digest (`significant`), and a machine that joins an existing
cluster gets other values for them (`bind`).
"""

_TOKEN = re.compile(r"@\{(path|bin|dir):([^}]*)\}")
_BOOTSTRAP_LINE = re.compile(rf"^(?P<key>[\w-]+): .*{re.escape(BOOTSTRAP_ONLY)}$", re.MULTILINE)


class OnChange(StrEnum):
    """What it takes to bring a changed value into effect, from least to most disruptive."""

    CREATE_ONLY = "create_only"
    RELOAD = "reload"
    RESTART = "restart"
    IN_PLACE = "in_place"
    REPLACE = "replace"
    REFUSE = "refuse"

    @property
    def severity(self) -> int:
        """The position in the order above: 0 for `create_only`."""
        return list(OnChange).index(self)


def path(place: str) -> str:
    """A token for an absolute path on the machine, e.g. `/etc/etcd/conf.yml`."""
    return f"@{{path:{place}}}"


def binary(program: str) -> str:
    """A token for a program: `etcd`, `haproxy`, `patroni`, `postgres`, `initdb`, ..."""
    return f"@{{bin:{program}}}"


def directory_of(software: str) -> str:
    """A token for the folder that holds a software's programs, e.g. `postgresql`."""
    return f"@{{dir:{software}}}"


def unit_of(service: str) -> str:
    """The systemd unit of a service, on machines with a systemd of their own."""
    return f"{service}.service"


def replace_tokens(text: str, place: Callable[[str, str], str]) -> str:
    """`text` with each token replaced by `place(kind, name)`; kind is path, bin or dir."""
    return _TOKEN.sub(lambda found: place(found[1], found[2]), text)


def significant(text: str) -> str:
    """`text` without its bootstrap-only lines: what is compared to see a change."""
    if BOOTSTRAP_ONLY not in text:
        return text
    return "".join(
        line
        for line in text.splitlines(keepends=True)
        if not line.rstrip().endswith(BOOTSTRAP_ONLY)
    )


def bind(text: str, values: Mapping[str, str]) -> str:
    """`text` with the bootstrap-only lines of the named keys given other values."""

    def line(found: re.Match[str]) -> str:
        key = found["key"]
        return f"{key}: {values[key]}  {BOOTSTRAP_ONLY}" if key in values else found[0]

    return _BOOTSTRAP_LINE.sub(line, text)


@dataclass(frozen=True, slots=True)
class File:
    """A file on the machine, by its absolute path on a conventional Linux system.

    `service` is the one that reads it, to be reloaded or restarted as `on_change` says.
    A secret file's content never leaves the materials but as a keyed digest.
    """

    path: str
    content: str = field(repr=False)
    mode: int = 0o640
    owner: str = "root"
    secret: bool = False
    on_change: OnChange = OnChange.RESTART
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Directory:
    """A folder on the machine; `data` marks the one that must never be lost."""

    path: str
    mode: int = 0o700
    owner: str = "root"
    data: bool = False


@dataclass(frozen=True, slots=True)
class Package:
    """A distribution's package, with a version where a certain one is wanted.

    A version without a revision (`4.0.5`) takes any revision of it. `service` is the one that
    runs it, to be restarted for another version.
    """

    name: str
    version: str | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A system user that a service runs as."""

    name: str


@dataclass(frozen=True, slots=True)
class Probe:
    """How to see that a service is ready: a TCP port that accepts, on the machine's address."""

    port: int
    deadline: float = 60.0


@dataclass(frozen=True, slots=True)
class Command:
    """A one-time setup command; it is done when `creates` exists.

    `service` is one that is to be restarted after it, where that does not show in the
    service's own command line.
    """

    name: str
    argv: tuple[str, ...]
    creates: str
    user: str = "root"
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A long-running program, started after the setup commands and restarted when it dies.

    `reload_signal` goes to the main process. `stop_seconds` is how long a clean stop may
    take. `stagger` is the least time, in seconds, between the starts of two services of
    this name in one stack. `guest_only` marks what makes sense only on a machine with a
    kernel of its own (time synchronisation); platforms that lend their own leave it out.
    `spares_children` tells that it ends what it started itself when it stops, and that this
    is to go on where it dies: it is found again. `port` is a TCP port that it serves others
    on without being waited for; one with `ready` serves that probe's. `afterwards` is run, as
    its user, once it has ended, whatever ended it: SERVICE_RESULT in its environment is
    `success`, or systemd's word for what went wrong (systemd.exec(5)).
    """

    name: str
    command: tuple[str, ...]
    user: str = "root"
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    reload_signal: str = "HUP"
    stop_signal: str = "TERM"
    stop_seconds: int = 60
    ready: Probe | None = None
    port: int | None = None
    stagger: float = 0.0
    guest_only: bool = False
    spares_children: bool = False
    afterwards: tuple[str, ...] = ()
    on_change: OnChange = OnChange.RESTART


@dataclass(frozen=True, slots=True)
class Software:
    """What a machine carries, in the order it is laid down."""

    packages: tuple[Package, ...] = ()
    users: tuple[User, ...] = ()
    directories: tuple[Directory, ...] = ()
    files: tuple[File, ...] = ()
    setup: tuple[Command, ...] = ()
    services: tuple[Service, ...] = ()


@dataclass(frozen=True, slots=True)
class Size:
    """Processors, and memory in MiB."""

    vcpus: int = 2
    memory: int = 8192


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk: an existing volume by its id, or one that the platform makes.

    `volume_id` is what the platform calls it (a path, a volume key, an id). Without one, the
    platform clones `base` (its own default if None), or makes an empty disk, of `size` GiB
    in `pool`. `mount` is where a data disk is mounted: formatted once, never again; its top
    folder belongs to `owner` and has `mode`. A data disk without a volume and a size is a
    wish: the platform may give it a size of its own, or leave it out; one of size 0 is none.
    """

    name: str
    volume_id: str | None = None
    base: str | None = None
    size: int | None = None
    pool: str | None = None
    mount: str | None = None
    owner: str = "root"
    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class Port:
    """What connects a server of a cloud: an existing port, or one that the platform makes.

    `existing` is one's id or name; nothing else counts then. One that is made is called
    `name` (by default as the machine) and lies on `subnet`, an id or a name (by default the
    network's own). `security_groups` are ids or names of existing ones; None stands for one
    that the platform makes, which lets in what the machine serves, and `()` for none.
    """

    existing: str | None = None
    name: str | None = None
    subnet: str | None = None
    security_groups: tuple[str, ...] | None = None
    admin_up: bool = True


@dataclass(frozen=True, slots=True)
class Nic:
    """A network interface with a static address.

    One of `network_id`, `network_name` and `macvtap` (a host's interface) says what it is
    connected to; with none of them, the platform's own network. `match` selects the
    interface in the guest by a pattern of its name rather than by its MAC address. `port`
    says more of it where machines are a cloud's servers; there, `network_id` may be a name.
    """

    address: str
    prefix_length: int | None = None
    network_id: str | None = None
    network_name: str | None = None
    macvtap: str | None = None
    mac: str | None = None
    gateway: str | None = None
    dns_servers: tuple[str, ...] = ()
    match: str | None = None
    port: Port | None = None


@dataclass(frozen=True, slots=True)
class Admin:
    """The first user of a guest, who may become root; the password is for the console alone.

    What is None is as the platform says.
    """

    user: str | None = None
    public_key: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Cloud:
    """What only a server of a cloud has. Everything is an id or a name.

    What is None is as the platform says. `flavor` is its size, `key_pair` an existing one
    whose key may log in as well. `server_group` is an existing one, in place of the one that
    the platform makes for a cluster. `boot_from_volume` is whether the system's disk is a
    volume (`Guest.os_disk.size` is its size) rather than the flavor's own, and `volume_type`
    the kind of volumes that are made.
    """

    flavor: str | None = None
    key_pair: str | None = None
    availability_zone: str | None = None
    server_group: str | None = None
    boot_from_volume: bool | None = None
    volume_type: str | None = None


@dataclass(frozen=True, slots=True)
class Guest:
    """What only a machine with a kernel of its own has; other platforms leave it aside.

    In a cloud, disks are volumes, `os_disk.base` an image, and `size` is the flavor's.
    `seed_pool` and `seed_name` are where the cloud-init disk is put while it is needed.
    `install` is whether packages are installed, or the image holds everything already.
    `watchdog` is the model of a watchdog in hardware, e.g. `i6300esb`.
    """

    size: Size = field(default_factory=Size)
    os_disk: Disk = field(default_factory=lambda: Disk("os"))
    data_disk: Disk | None = None
    nics: tuple[Nic, ...] = ()
    admin: Admin = field(default_factory=Admin)
    seed_pool: str | None = None
    seed_name: str | None = None
    running: bool = True
    autostart: bool = True
    install: bool = True
    watchdog: str | None = None
    cloud: Cloud = field(default_factory=Cloud)


@dataclass(frozen=True, slots=True)
class Machine:
    """What should exist: one machine.

    `name` is unique in the stack, `module` is the stack file's key it comes from,
    `after` names machines that must be ready before this one is made, and `membership`
    says what it is a part of. `postgresql` is the major version whose programs it runs; None
    for whichever there is. `refused` says, in words, why it cannot become what is asked for.
    """

    name: str
    module: str
    address: str
    software: Software
    membership: Membership
    after: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    guest: Guest = field(default_factory=Guest)
    postgresql: str | None = None
    refused: tuple[str, ...] = ()

"""TCP ports on this machine: who listens, and what can be bound.

The kernel's table is read (proc_pid_net(5)) rather than connected to: a connection that
says nothing leaves an error in the log of every server that speaks TLS.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

from pgstead.errors import PlatformError
from pgstead.platforms.local import processes

_LISTEN = "0A"
_ANY = (f"{0:08X}", f"{0:032X}")


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens; `wildcard` is one that takes every address."""

    port: int
    address: str
    wildcard: bool
    inode: int


def listeners() -> list[Listener]:
    """All listening TCP sockets of this machine."""
    return [*_read(Path("/proc/net/tcp")), *_read(Path("/proc/net/tcp6"))]


def on(address: str, port: int) -> frozenset[int]:
    """The inodes of the sockets that listen on that address and port, or on all addresses."""
    return among(listeners(), address, port)


def among(found: Iterable[Listener], address: str, port: int) -> frozenset[int]:
    """Of those listeners, the inodes of the ones that take what comes to address and port."""
    number = _kernel_form(address)
    return frozenset(
        one.inode for one in found if one.port == port and (one.wildcard or one.address == number)
    )


@dataclass(frozen=True, slots=True)
class Connection:
    """A client's end of a connection: where its server is, and its own port."""

    server: str
    port: int
    client_port: int


def connections(inodes: frozenset[int], servers: frozenset[str]) -> list[Connection]:
    """Of those sockets, the connections to those servers' addresses (IPv4)."""
    known = {_kernel_form(address): address for address in servers}
    found = []
    for row in _rows(Path("/proc/net/tcp")):
        remote, _, port = row[2].partition(":")
        if remote in known and row[3] != _LISTEN and int(row[9]) in inodes:
            client_port = int(row[1].partition(":")[2], 16)
            found.append(Connection(known[remote], int(port, 16), client_port))
    return found


def can_bind(address: str, port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
                return False
            raise PlatformError(f"{address}:{port} cannot be tried: {error.strerror}") from error
    return True


def who_listens(address: str, port: int) -> str:
    """In words, who holds that port: `python3 (process 4711)`."""
    return who_holds(on(address, port))


def who_holds(inodes: frozenset[int]) -> str:
    """In words, who has one of those sockets open."""
    holder = processes.socket_holder(inodes)
    return f"{holder.name} (process {holder.pid})" if holder else "another user's process"


def _read(table: Path) -> list[Listener]:
    return [_listener(row[1], int(row[9])) for row in _rows(table) if row[3] == _LISTEN]


def _rows(table: Path) -> list[list[str]]:
    """The kernel's table: local and remote address, state and inode are at 1, 2, 3 and 9."""
    try:
        return [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return []


def _listener(local: str, inode: int) -> Listener:
    address, _, port = local.partition(":")
    return Listener(int(port, 16), address, address in _ANY, inode)


def _kernel_form(address: str) -> str:
    """An IPv4 address as the kernel's table has it: its bytes in host order, in hexadecimal."""
    packed = IPv4Address(address).packed
    return f"{int.from_bytes(packed, _BYTE_ORDER):08X}"


_BYTE_ORDER: Literal["little", "big"] = "little" if socket.htons(1) != 1 else "big"

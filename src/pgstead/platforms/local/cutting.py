"""Packets lost between machines that share loopback, and with it their source address.

A connection on 127.0.0.0/8 shows where its server is, but never whose client it is: that is
always 127.0.0.1. So the client's end is told by who opened its socket: by the control group of
its process, for what is opened from now on, and by looking through the processes once, for what
was open already. The kernel keeps the set of connections and loses packets by it, in a table
that is the stack's own; packets go out as ever and get lost on their way in.

A service that its supervisor starts anew meanwhile is not in its machine's group: what it opens
passes. What Patroni starts is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from pgstead.errors import PgsteadError, PlatformError, Refused
from pgstead.platforms.breaking import Cut
from pgstead.platforms.local import processes, sockets
from pgstead.platforms.local.control_groups import ControlGroups, mounted, writable
from pgstead.platforms.local.processes import Process
from pgstead.platforms.local.script import SEARCH_PATH
from pgstead.platforms.local.supervisor import Supervisor
from pgstead.run import run

ProcessesOf = Callable[[str], list[Process]]

_OPENED = "ip daddr . tcp dport . tcp sport"
_ANSWERED = "ip saddr . tcp sport . tcp dport"
_SYN = "tcp flags & (syn | ack) == syn"
_TRIED = Cut("probe", "127.0.0.2", {"probe": "127.0.0.3"})


@dataclass
class Cutting:
    """The one cut of a stack."""

    stack_id: str
    supervisor: Callable[[], Supervisor]

    @property
    def table(self) -> str:
        """The stack's own table."""
        return f"pgstead_{self.stack_id}"

    @cached_property
    def _nft(self) -> str | None:
        return shutil.which("nft", path=SEARCH_PATH)

    @cached_property
    def _groups(self) -> ControlGroups | None:
        root = mounted()
        return ControlGroups(root, f"pgstead-{self.stack_id}") if root else None

    def cannot(self) -> str | None:
        """Why no packets can be lost here; None if they can."""
        return self._reason

    @cached_property
    def _reason(self) -> str | None:
        if os.geteuid() != 0:
            return "on the local platform only root may have the kernel lose packets"
        if self._nft is None:
            return "nft is not installed (the package nftables)"
        if self._groups is None or not writable(self._groups.root):
            return "control groups (version 2) cannot be made on this machine"
        return self._refusal(self._groups)

    def _refusal(self, groups: ControlGroups) -> str | None:
        """What the kernel says to such rules; nothing comes into effect."""
        try:
            groups.make(_TRIED.machine)
            self._tell("--check", "-f", "-", rules=rules(self.table, _TRIED, groups, [], []))
        except PgsteadError as error:
            return f"the kernel cannot lose packets by control group: {error.message}"
        finally:
            groups.dissolve(lambda: None)
        return None

    def cut(self, cut: Cut, processes_of: ProcessesOf) -> None:
        """Lose those packets; a cut that there is gives way to this one. Raises `Refused`."""
        reason, groups = self.cannot(), self._groups
        if reason or groups is None:
            raise Refused(f"{cut.machine} cannot be cut off: {reason}")
        self.mend()
        for machine in (cut.machine, *cut.peers):
            groups.gather(machine, partial(processes_of, machine))
        # Only now: what was opened before its process was moved is in nobody's group.
        own = _open(processes_of(cut.machine), cut.peers.values())
        peers = [one for name in cut.peers for one in processes_of(name)]
        text = rules(self.table, cut, groups, own, _open(peers, [cut.address]))
        self._tell("-f", "-", rules=text)

    def mend(self) -> None:
        """Lose no more; what was not cut is left as it is."""
        if self._groups is None or not self._groups.folder.is_dir():
            return
        if self._nft is not None and self.table in self._tell("list", "tables"):
            self._tell("delete", "table", "inet", self.table)
        self._groups.dissolve(self._home)

    def _home(self) -> Path | None:
        """The group of whoever started the services."""
        pid = self.supervisor().pid()
        return self._groups.of(pid) if pid and self._groups else None

    def _tell(self, *words: str, rules: str | None = None) -> str:
        try:
            return run([self._nft or "nft", *words], stdin=rules).stdout
        except PgsteadError as error:
            raise PlatformError(error.message, hint=error.hint) from error


def rules(
    table: str,
    cut: Cut,
    groups: ControlGroups,
    own: Iterable[sockets.Connection],
    others: Iterable[sockets.Connection],
) -> str:
    """The table, whole: `own` are connections that the machine has to its peers, `others` theirs.

    A number of a client's port may be used again by another process, for the same server: a
    connection that anybody begins anew is taken out of the set before it is looked at.
    """
    peers = f"{{ {', '.join(cut.peers.values())} }}"
    watched = [
        f"ip daddr {peers} {_SYN} delete @own {{ {_OPENED} }}",
        f"ip daddr {peers} {groups.match(cut.machine)} add @own {{ {_OPENED} }}",
        f"ip daddr {cut.address} {_SYN} delete @others {{ {_OPENED} }}",
        *(
            f"ip daddr {cut.address} {groups.match(peer)} add @others {{ {_OPENED} }}"
            for peer in cut.peers
        ),
    ]
    sent = [f"{_OPENED} @own counter drop", f"{_ANSWERED} @others counter drop"]
    received = [f"{_OPENED} @others counter drop", f"{_ANSWERED} @own counter drop"]
    lost = [*(sent if cut.sent else ()), *(received if cut.received else ())]
    return "\n".join(
        [
            f"table inet {table}",
            f"delete table inet {table}",
            f"table inet {table} {{",
            _set("own", own),
            _set("others", others),
            _chain("watched", "output", watched),
            _chain("lost", "input", lost),
            "}\n",
        ]
    )


def _set(name: str, connections: Iterable[sockets.Connection]) -> str:
    known = sorted({f"{one.server} . {one.port} . {one.client_port}" for one in connections})
    elements = f"  elements = {{ {', '.join(known)} }}\n" if known else ""
    kind = "  type ipv4_addr . inet_service . inet_service\n  flags dynamic\n  size 65535\n"
    return f" set {name} {{\n{kind}{elements} }}"


def _chain(name: str, hook: str, lines: Iterable[str]) -> str:
    text = "".join(f"  {line}\n" for line in lines)
    return f" chain {name} {{\n  type filter hook {hook} priority -10\n{text} }}"


def _open(found: Iterable[Process], servers: Iterable[str]) -> list[sockets.Connection]:
    return sockets.connections(processes.open_sockets(found), frozenset(servers))

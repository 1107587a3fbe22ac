"""Control groups (cgroup v2): what tells one machine's new sockets from another's.

A socket belongs to the group that its process was in when it was opened (the kernel's
`sock_cgroup_data`); moving a process later changes nothing about what it has open.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pgstead.errors import PlatformError
from pgstead.platforms.local.processes import Process
from pgstead.waiting import wait

MOVE_SECONDS = 5.0

NFT_BASE = Path("/sys/fs/cgroup")
"""Where nft(8) looks for the groups that its rules name."""

WHOLE = "cgroup:[4026531835]"
"""The name space that shows the hierarchy from its root (the kernel's PROC_CGROUP_INIT_INO).

In another one, a group's level is not what it looks like, and a rule would match nothing.
"""


def mounted() -> Path | None:
    """Where the version 2 hierarchy is, if all of it is there, and where nft finds it."""
    with suppress(OSError):
        if os.readlink("/proc/self/ns/cgroup") != WHOLE:  # noqa: PTH115 - no path
            return None
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, place, kind, *_ = line.split()
            if kind == "cgroup2" and Path(place).is_relative_to(NFT_BASE):
                return Path(place)
    return None


@dataclass(frozen=True, slots=True)
class ControlGroups:
    """The groups of one stack, a folder of them below the `root` of the hierarchy."""

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        """Holds the machines' groups."""
        return self.root / self.name

    def match(self, machine: str) -> str:
        """What selects sockets of a machine's group in a rule of nftables."""
        path = (self.folder / machine).relative_to(NFT_BASE)
        return f'socket cgroupv2 level 2 "{path}"'

    def make(self, machine: str) -> Path:
        """A machine's group. Raises `PlatformError` where none can be made."""
        group = self.folder / machine
        try:
            group.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PlatformError(f"no control group {group}: {error.strerror}") from error
        return group

    def gather(self, machine: str, processes: Callable[[], Iterable[Process]]) -> None:
        """Move a machine's processes into its group; children come into their parents'."""
        group = self.make(machine)

        def gathered() -> bool:
            outside = [one.pid for one in processes() if one.pid not in _inside(group)]
            _move(outside, group)
            return not outside

        wait(gathered, deadline=MOVE_SECONDS, what=f"{machine} to be in a control group")

    def dissolve(self, home: Callable[[], Path | None]) -> None:
        """Move all back to the group `home`, or to the hierarchy's, and remove the groups."""
        if not self.folder.is_dir():
            return
        target = home() or self.root
        wait(
            lambda: self._dissolved(target),
            deadline=MOVE_SECONDS,
            what=f"the control groups in {self.folder} to be empty",
        )

    def _dissolved(self, target: Path) -> bool:
        for group in [one for one in self.folder.iterdir() if one.is_dir()]:
            _move(_inside(group), target)
            with suppress(OSError):  # a child was started meanwhile: another round
                group.rmdir()
        with suppress(OSError):
            self.folder.rmdir()
        return not self.folder.exists()

    def of(self, pid: int) -> Path | None:
        """The group of a process; None if it is gone."""
        with suppress(OSError, StopIteration):
            lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
            path = next(line for line in lines if line.startswith("0::"))
            return self.root / path[len("0::/") :]
        return None


def writable(root: Path) -> bool:
    """Whether groups may be made there."""
    return os.access(root, os.W_OK)


def _inside(group: Path) -> list[int]:
    return [int(line) for line in (group / "cgroup.procs").read_text().split()]


def _move(pids: Iterable[int], group: Path) -> None:
    """Move processes; those that ended meanwhile are no error."""
    for pid in pids:
        try:
            (group / "cgroup.procs").write_text(str(pid))
        except ProcessLookupError:
            continue
        except OSError as error:
            raise PlatformError(
                f"process {pid} cannot be moved to the control group {group}: {error.strerror}"
            ) from error

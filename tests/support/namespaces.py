"""Mount, network and process namespaces of a test's own."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNSHARE = (
    *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"),
    *("--propagation", "private"),
)
"""In a process namespace of its own, all that runs ends with its first process, whatever
happens."""

_NETWORK = 0x40000000  # CLONE_NEWNET, see setns(2)


def die_with_us() -> None:
    """Have the kernel end a child with the test's process, should that be killed (prctl(2))."""
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL


def child_of(process: int) -> int:
    """The id of the only child of a process."""
    return int(Path(f"/proc/{process}/task/{process}/children").read_text().split()[0])


def enter(process: int) -> list[str]:
    """The words before a command that shall run in the namespaces of a process."""
    return ["nsenter", f"--target={process}", "--mount", "--net", "--pid"]


@contextmanager
def in_network_of(process: int) -> Iterator[None]:
    """Be in the network of a process: this thread, and all that it starts meanwhile."""
    with (
        Path("/proc/thread-self/ns/net").open("rb") as ours,
        Path(f"/proc/{process}/ns/net").open("rb") as theirs,
    ):
        _enter_network(theirs.fileno())
        try:
            yield
        finally:
            _enter_network(ours.fileno())


def _enter_network(network: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(network, _NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "setns")

"""libvirt's errors, in words that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import libvirt

from pgstead.errors import PlatformError

APPARMOR = (
    "AppArmor keeps the emulator from that file: put volumes into a storage pool (libvirt then"
    " allows them), or add their folder to /etc/apparmor.d/local/abstractions/libvirt-qemu"
)
PERMISSION = (
    "the emulator runs as a user of its own (libvirt-qemu): every folder above the volume must"
    " have the permission x for it; check with `namei -l` on the host"
)
RUNS = "see that libvirtd runs there and that `virsh -c URI uri` answers"
TOO_LARGE = "the host has too little memory: give the machine less, or use another host"
DENIED = "become a member of the group libvirt on that host, or connect as root"

_HINTS = {
    libvirt.VIR_ERR_AUTH_FAILED: DENIED,
    libvirt.VIR_ERR_AUTH_CANCELLED: DENIED,
    libvirt.VIR_ERR_AUTH_UNAVAILABLE: DENIED,
    libvirt.VIR_ERR_ACCESS_DENIED: DENIED,
    libvirt.VIR_ERR_OPERATION_DENIED: DENIED,
    libvirt.VIR_ERR_NO_SUPPORT: "this libvirt driver cannot do that; use qemu:///system",
}


def quiet() -> None:
    """Errors are raised; libvirt shall not print them as well."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)


@contextmanager
def explained(what: str, host: str) -> Iterator[None]:
    """Turn libvirt's errors into a `PlatformError`: `<what> on <host>: <why>`."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise translated(error, what, host) from None


def translated(error: libvirt.libvirtError, what: str, host: str) -> PlatformError:
    """The error for what failed, with a hint where there is one."""
    text = str(error.get_error_message() or error)
    return PlatformError(f"{what} on {host}: {text}", hint=_hint(error.get_error_code(), text))


_WORDS = (
    (("apparmor",), APPARMOR),
    (("permission denied", "socket"), DENIED),
    (("permission denied",), PERMISSION),
    (("failed to connect to",), RUNS),
    (("cannot recv data",), RUNS),
    (("no space left",), "free space in the storage pool: `virsh pool-info`, `virsh vol-list`"),
    (("cannot set up guest memory",), TOO_LARGE),
    (("cannot allocate memory",), TOO_LARGE),
)
"""What errors say, all in small letters, and what to do then; the first that fits."""


def _hint(code: int, text: str) -> str | None:
    lower = text.lower()
    for words, hint in _WORDS:
        if all(word in lower for word in words):
            return hint
    return _HINTS.get(code)


def names(found: Iterator[str] | list[str]) -> str:
    """A hint that lists what there is."""
    listed = ", ".join(sorted(found))
    return f"there are: {listed}" if listed else "there are none"

"""A libvirtd of a test's own, in mount and network namespaces of its own.

Nothing of it touches this machine: bridges, iptables, dnsmasq and sockets stay inside. It is
reached through its socket, which lies in a folder of the test's; what needs the network inside
runs by `inside`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

START_SECONDS = 60.0

# The folders that libvirt writes to are the test's own. A sysfs of the new network namespace
# is needed for bridges; cgroups lie below it and are put back.
_ENTER = """
set -eu
base=$1
mkdir -p "$base/etc" "$base/var" "$base/run" "$base/cache" "$base/log" "$base/lock" "$base/cgroup"
mkdir -p "$base/var/dnsmasq" "$base/var/images" /run/libvirt /var/lib/libvirt /var/cache/libvirt
chmod 711 "$base/var" "$base/var/images"
mount --rbind /sys/fs/cgroup "$base/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$base/cgroup" /sys/fs/cgroup
umount -l "$base/cgroup"
cp -a /etc/libvirt/. "$base/etc/"
rm -rf "$base"/etc/qemu/networks/* "$base"/etc/storage "$base"/etc/qemu/*.xml
cat >"$base/etc/qemu.conf" <<'EOF'
stdio_handler = "file"
security_driver = "none"
remember_owner = 0
EOF
cat >"$base/etc/libvirtd.conf" <<'EOF'
auth_unix_rw = "none"
EOF
mount --bind "$base/etc" /etc/libvirt
mount --bind "$base/var" /var/lib/libvirt
mount --bind "$base/run" /run/libvirt
mount --bind "$base/cache" /var/cache/libvirt
mount --bind "$base/log" /var/log/libvirt
mount --bind "$base/lock" /var/lock  # libvirt locks consoles there
# A KVM that the emulator's user may not open makes libvirt look at each emulator again, 8 s
# for every call: it sees a device that might have become usable.
if [ -c /dev/kvm ]; then
    mknod -m 666 "$base/kvm" c 10 232
    mount --bind "$base/kvm" /dev/kvm
fi
ip link set lo up
# Not exec: the first process has to collect orphans, which a shell that waits does.
libvirtd -p /run/libvirt/libvirtd.pid &
wait $!
"""

# In a process namespace of its own, all of its guests end with it, whatever happens.
_UNSHARE = (
    *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"),
    *("--propagation", "private"),
)

_PROGRAMS = ("libvirtd", "unshare", "nsenter", "qemu-system-x86_64", "qemu-img", "dnsmasq")


@dataclass(frozen=True)
class Libvirtd:
    """A daemon that runs: how to connect to it, and how to run something beside it."""

    pid: int
    folder: Path

    @property
    def uri(self) -> str:
        """The QEMU driver's URI, from outside."""
        return f"qemu+unix:///system?socket={self.folder}/run/libvirt-sock"

    @property
    def images(self) -> Path:
        """A folder for a storage pool that the emulator's user may enter; the same inside."""
        return self.folder / "var" / "images"

    def inside(self, argv: Sequence[str], *, timeout: float = 60) -> str:
        """Run a command beside the daemon; gives what it wrote."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        enter = ["nsenter", f"--target={children.split()[0]}", "--mount", "--net", "--pid"]
        done = subprocess.run(
            [*enter, *argv], capture_output=True, text=True, timeout=timeout, check=True
        )
        return done.stdout


@cache
def why_not() -> str | None:
    """The reason why no libvirtd can run here; None if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a libvirtd in namespaces of its own needs Linux and root"
    if missing := [name for name in _PROGRAMS if shutil.which(name) is None]:
        return f"not installed: {', '.join(missing)}"
    try:
        import libvirt  # noqa: F401, PLC0415
        import pycdlib  # noqa: F401, PLC0415
    except ImportError as error:
        return f"the Python package {error.name} is not installed"
    tried = subprocess.run(
        [*_UNSHARE, "mount", "-t", "sysfs", "sysfs", "/sys"],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if tried.returncode == 0 else f"no namespaces can be made: {tried.stderr.strip()}"


@contextmanager
def libvirtd(folder: Path) -> Iterator[Libvirtd]:
    """A daemon in that folder, whose path has to be short; ended with all that it runs."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    with (folder / "libvirtd.out").open("wb") as out:
        process = subprocess.Popen(
            [*_UNSHARE, "sh", "-c", _ENTER, "_", str(folder)],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            preexec_fn=_die_with_us,  # noqa: PLW1509 - before any thread that matters here
        )
    made = Libvirtd(process.pid, folder)
    try:
        _wait_until_up(made, process)
        yield made
    finally:
        _end(made, process)


def _die_with_us() -> None:
    """Have the kernel end it with the test's process, should that be killed (prctl(2))."""
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL


def _wait_until_up(made: Libvirtd, process: subprocess.Popen[bytes]) -> None:
    import libvirt  # noqa: PLC0415

    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with suppress(libvirt.libvirtError):
            libvirt.open(made.uri).close()
            return
        time.sleep(0.1)
    raise RuntimeError((made.folder / "libvirtd.out").read_text(errors="replace")[-2000:])


def _end(made: Libvirtd, process: subprocess.Popen[bytes]) -> None:
    """End the daemon, and with it all in its namespaces."""
    process.kill()
    process.wait(30)
    shutil.rmtree(made.folder, ignore_errors=True)

"""A libvirtd of a test's own, in mount and network namespaces of its own.

Nothing of it touches this machine: bridges, iptables, dnsmasq and sockets stay inside. It is
reached through its socket, which lies in a folder of the test's; what needs the network inside
runs by `inside`, or in the block of `network`.
"""

from __future__ import annotations

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
from tempfile import TemporaryDirectory

from support.namespaces import UNSHARE, child_of, die_with_us, enter, in_network_of

START_SECONDS = 180.0
EMPTY_SECONDS = 2.0
"""For how long nobody is in a cgroup that is removed."""

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
# Machines have no cgroups: all daemons would share them, called by a machine's number and name.
# Containers want one kind of them; where there are both, the old ones have the controllers.
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
cp -a /etc/libvirt/. "$base/etc/"
rm -rf "$base"/etc/qemu/networks/* "$base"/etc/storage "$base"/etc/qemu/*.xml
cat >"$base/etc/qemu.conf" <<'EOF'
stdio_handler = "file"
security_driver = "none"
remember_owner = 0
cgroup_controllers = []
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

_PROGRAMS = ("libvirtd", "unshare", "nsenter", "dnsmasq")
_OF_DRIVER = {
    "qemu": ("qemu-system-x86_64", "qemu-img"),
    "lxc": ("/usr/lib/libvirt/libvirt_lxc", "ssh"),
}


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
    def containers(self) -> str:
        """The LXC driver's URI, from outside."""
        return self.uri.replace("qemu", "lxc", 1)

    @property
    def images(self) -> Path:
        """A folder for a storage pool that the emulator's user may enter; the same inside."""
        return self.folder / "var" / "images"

    def inside(self, argv: Sequence[str], *, timeout: float = 180) -> str:
        """Run a command beside the daemon; gives what it wrote."""
        done = subprocess.run(
            [*self.enter, *argv], capture_output=True, text=True, timeout=timeout, check=True
        )
        return done.stdout

    @property
    def enter(self) -> list[str]:
        """The words before a command that shall run beside the daemon."""
        return enter(self.first)

    @property
    def first(self) -> int:
        """The first process of its namespaces."""
        return child_of(self.pid)

    @contextmanager
    def network(self) -> Iterator[None]:
        """Be in the daemon's network: this thread, and all that it starts meanwhile."""
        with in_network_of(self.first):
            yield


@cache
def why_not(driver: str = "qemu") -> str | None:
    """The reason why no libvirtd with that driver can run here; None if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a libvirtd in namespaces of its own needs Linux and root"
    wanted = (*_PROGRAMS, *_OF_DRIVER[driver])
    if missing := [name for name in wanted if shutil.which(name) is None]:
        return f"not installed: {', '.join(missing)}"
    try:
        import libvirt  # noqa: F401, PLC0415
        import pycdlib  # noqa: F401, PLC0415
    except ImportError as error:
        return f"the Python package {error.name} is not installed"
    tried = subprocess.run(
        [*UNSHARE, "mount", "-t", "sysfs", "sysfs", "/sys"],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if tried.returncode == 0 else f"no namespaces can be made: {tried.stderr.strip()}"


@contextmanager
def libvirtd() -> Iterator[Libvirtd]:
    """A daemon in a folder of its own; ended with all that it runs.

    The folder's path is short, as those of sockets have to be.
    """
    with TemporaryDirectory(prefix="pgs-", dir="/tmp") as name:
        Path(name).chmod(0o711)  # the emulator's user passes through
        folder = Path(name) / "lv"
        folder.mkdir(mode=0o711)
        with _running(folder) as made:
            yield made


@contextmanager
def _running(folder: Path) -> Iterator[Libvirtd]:
    with (folder / "libvirtd.out").open("wb") as out:
        process = subprocess.Popen(
            [*UNSHARE, "sh", "-c", _ENTER, "_", str(folder)],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_us,  # noqa: PLW1509 - before any thread that matters here
        )
    made, before = Libvirtd(process.pid, folder), _cgroups()
    try:
        _wait_until_up(made, process)
        yield made
    finally:
        left = _cgroups() - before  # what comes from now on is another daemon's
        _end(made, process)
        _remove_cgroups(left)


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
    """End the daemon, and with it all in its namespaces; domains first, for their cgroups."""
    for uri in (made.uri, made.containers):
        with suppress(Exception):
            _end_domains(uri)
    process.kill()
    process.wait(30)
    shutil.rmtree(made.folder, ignore_errors=True)


def _end_domains(uri: str) -> None:
    import libvirt  # noqa: PLC0415

    connection = libvirt.open(uri)
    for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        with suppress(libvirt.libvirtError):
            domain.destroy()
    connection.close()


def _cgroups() -> set[Path]:
    """Cgroups of libvirt's domains, and those that containers made."""
    patterns = ("machine/*.libvirt-*", "*/machine/*.libvirt-*", "*/pgstead-*")
    return {found for each in patterns for found in Path("/sys/fs/cgroup").glob(each)}


def _remove_cgroups(left: set[Path]) -> None:
    """Remove those that a daemon that was killed has left, once nobody was in them for a while.

    Others' daemons run meanwhile, and have made one a moment before somebody is in it.
    """
    deadline = time.monotonic() + 10
    empty = dict.fromkeys(left, time.monotonic())
    while empty and time.monotonic() < deadline:
        for each in [each for each in empty if not each.exists()]:
            del empty[each]
        for each, since in empty.items():
            if _is_used(each):
                empty[each] = time.monotonic()
            elif time.monotonic() - since > EMPTY_SECONDS:
                _remove(each)
        time.sleep(0.05)


def _remove(cgroup: Path) -> None:
    for folder, _, _ in os.walk(cgroup, topdown=False):
        with suppress(OSError):
            Path(folder).rmdir()


def _is_used(cgroup: Path) -> bool:
    """Whether a process is in it, or in one below; walking bears that others remove some."""
    for folder, _, _ in os.walk(cgroup):
        with suppress(OSError):
            if Path(folder, "cgroup.procs").read_text():
                return True
    return False

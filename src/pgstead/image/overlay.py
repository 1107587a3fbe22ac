"""The files that an image holds besides its packages' own, as tar archives."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pgstead.image.contents import MASKED, PATRONI_FOLDER, UNUSED_MODULES
from pgstead.image.recipe import Recipe

ROOT_LABEL = "cloudimg-root"
EFI_LABEL = "ESP"
PINS = "etc/apt/preferences.d/pgstead-lock"
GRUB_CONFIG = "boot/grub/grub.cfg"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file (or, with `link`, a symbolic link) by its path without a leading slash."""

    path: str
    text: str = ""
    mode: int = 0o644
    link: str | None = None


def before(recipe: Recipe) -> list[Entry]:
    """What has to be there before the first package: pins, and settings of installations."""
    pins = [Entry(PINS, recipe.lock.pins())] if recipe.lock else []
    return [
        *pins,
        Entry("etc/postgresql-common/createcluster.conf", "create_main_cluster = false\n"),
        # What virtual machines boot from, and no more: a small initrd loads fast.
        Entry("etc/initramfs-tools/conf.d/pgstead", "MODULES=list\nCOMPRESS=zstd\nBUSYBOX=n\n"),
        Entry("etc/initramfs-tools/modules", "\n".join(_INITRD_MODULES) + "\n"),
        Entry("etc/kernel-img.conf", "do_symlinks = yes\nlink_in_boot = no\n"),
    ]


def after() -> list[Entry]:
    """What is laid over the installed packages."""
    programs = ("patroni", "patronictl")
    return [
        Entry("etc/fstab", _FSTAB),
        Entry("etc/hostname", "localhost\n"),
        # Empty: a machine gets its own at its first boot (machine-id(5)).
        Entry("etc/machine-id", "", 0o444),
        Entry("etc/default/locale", "LANG=C.UTF-8\n"),
        Entry("etc/resolv.conf", link="/run/systemd/resolve/stub-resolv.conf"),
        Entry("etc/cloud/cloud.cfg.d/90_pgstead.cfg", _CLOUD),
        Entry("etc/modprobe.d/pgstead.conf", _blacklist()),
        *(Entry(f"etc/systemd/system/{unit}", link="/dev/null") for unit in MASKED),
        Entry("etc/systemd/system/systemd-networkd-wait-online.service.d/pgstead.conf", _ONLINE),
        # By the name of the file that cloud-init writes: it finds what it wants and does not
        # restart sshd in the middle of the first boot.
        Entry("etc/ssh/sshd_config.d/50-cloud-init.conf", _SSHD),
        Entry("etc/containers/containers.conf", '[network]\nnetwork_backend = "netavark"\n'),
        # An image's name without a registry means what it means to Docker.
        Entry("etc/containers/registries.conf.d/50-pgstead.conf", _REGISTRIES),
        Entry(GRUB_CONFIG, _GRUB),
        *(Entry(f"usr/local/bin/{name}", link=f"{PATRONI_FOLDER}/bin/{name}") for name in programs),
    ]


def write_tar(path: Path, entries: Iterable[Entry], *, time: int) -> None:
    """Write the entries, owned by root and dated `time` (seconds since 1970), into a tar."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            data = entry.text.encode()
            info = tarfile.TarInfo(f"./{entry.path}")
            info.mtime, info.mode, info.size = time, entry.mode, len(data)
            info.uname = info.gname = "root"
            if entry.link is not None:
                info.type, info.linkname, info.size = tarfile.SYMTYPE, entry.link, 0
            archive.addfile(info, io.BytesIO(data))


def _blacklist() -> str:
    lines = (f"blacklist {name}\n" for name in UNUSED_MODULES)
    return "# Not loaded by themselves; modprobe(8) loads them by name.\n" + "".join(lines)


_INITRD_MODULES = (
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "virtio_net",
    "virtio_rng",
    "sd_mod",
    "sr_mod",  # cloud-init looks for its disk before udev has loaded anything
    "ahci",
    "ext4",
)

_FSTAB = f"LABEL={ROOT_LABEL} / ext4 rw,noatime,discard,errors=remount-ro 0 1\n"

_CLOUD = """\
# NoCloud is libvirt's cloud-init disk; the others are OpenStack's.
datasource_list: [NoCloud, ConfigDrive, OpenStack, None]
apt: {preserve_sources_list: true}
manage_etc_hosts: true
# A locale that needs no generating; cloud-init ends in error where it cannot generate one.
locale: C.UTF-8
ssh_genkeytypes: [ed25519]
disable_root: true
# What machines made by pgstead use. Modules of other configuration systems are left out:
# each one costs time at every boot.
cloud_init_modules:
  - seed_random
  - bootcmd
  - write-files
  - growpart
  - resizefs
  - disk_setup
  - mounts
  - set_hostname
  - update_hostname
  - update_etc_hosts
  - ca-certs
  - rsyslog
  - users-groups
  - ssh
cloud_config_modules:
  - locale
  - set-passwords
  - apt-configure
  - ntp
  - timezone
  - runcmd
cloud_final_modules:
  - package-update-upgrade-install
  - write-files-deferred
  - scripts-per-once
  - scripts-per-boot
  - scripts-per-instance
  - scripts-user
  - phone-home
  - final-message
  - power-state-change
"""

_ONLINE = """\
# An interface that does not come up must not hold up the boot for two minutes.
[Service]
ExecStart=
ExecStart=/lib/systemd/systemd-networkd-wait-online --timeout=30
"""

_REGISTRIES = 'unqualified-search-registries = ["docker.io"]\n'

_SSHD = """\
PasswordAuthentication no
PermitRootLogin no
# A name lookup where there is no name server costs seconds.
UseDNS no
"""

_GRUB = f"""\
set timeout=0
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
search --no-floppy --label {ROOT_LABEL} --set=root
# Links that Debian's kernel packages keep current. A host that is busy while an emulated
# timer is checked looks like one without a timer, which is a panic; after one, start again.
linux /vmlinuz root=LABEL={ROOT_LABEL} ro console=tty0 console=ttyS0,115200 no_timer_check panic=30
initrd /initrd.img
boot
"""

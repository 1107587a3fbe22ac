"""What an image holds: packages by purpose, and what does not run until somebody asks."""

from __future__ import annotations

SYSTEM = (
    "linux-image-amd64",  # the cloud flavour lacks the i6300esb watchdog
    "initramfs-tools",
    "zstd",
    "systemd",
    "systemd-sysv",
    "systemd-resolved",
    "dbus",
    "udev",
    "kmod",
    "netbase",
    "netplan.io",
    "iproute2",
    "iputils-ping",
    "nftables",
    "ca-certificates",
    "gnupg",
    "curl",
    "openssl",
    "sudo",
    "less",
    "procps",
    "logrotate",
)

PROVISIONING = (
    "cloud-init",
    "cloud-guest-utils",
    "qemu-guest-agent",
    "openssh-server",
    "e2fsprogs",
    "xfsprogs",
    "fdisk",
    "parted",
    "python3",
    "python3-venv",
)

SERVERS = (
    "postgresql",
    "etcd-server",
    "etcd-client",
    "haproxy",
    "chrony",
    "prometheus-node-exporter",
)

CONTAINERS = ("podman", "crun", "netavark", "aardvark-dns")

PATRONI = "patroni[etcd3,psycopg3]>=4.0.4"
PATRONI_FOLDER = "/opt/patroni"
"""A venv of its own: the distribution's Patroni is older than what is supported."""

IDLE = (
    # Servers: configured and enabled by whoever makes a machine of the image.
    "etcd.service",
    "haproxy.service",
    "postgresql.service",
    "prometheus-node-exporter.service",
    "podman.service",
    "podman.socket",
    "podman-restart.service",
    "podman-auto-update.service",
    "podman-auto-update.timer",
    # A database server is upgraded when its operator says so, not by a timer.
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    # Work at the first boot that serves nobody.
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "man-db.timer",
    "prometheus-node-exporter-apt.timer",
    "prometheus-node-exporter-ipmitool-sensor.timer",
    "prometheus-node-exporter-mellanox-hca-temp.timer",
    "prometheus-node-exporter-nvme.timer",
    "prometheus-node-exporter-smartmon.timer",
)

MASKED = (
    # Loaded ahead of need; each is loaded anyway when something asks for it.
    "modprobe@configfs.service",
    "modprobe@dm_mod.service",
    "modprobe@drm.service",
    "modprobe@fuse.service",
    "modprobe@loop.service",
    "proc-sys-fs-binfmt_misc.automount",
    "systemd-binfmt.service",
)

UNUSED_MODULES = (
    # What a machine emulates for the sake of old systems, and virtual machines inside of it.
    *("floppy", "i2c_piix4", "joydev", "pcspkr", "psmouse", "serio_raw"),
    *("cfg80211", "kvm", "kvm_amd", "kvm_intel"),
)

ACTIVE = ("systemd-networkd.service", "systemd-resolved.service", "ssh.service")

LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/doc/*")
KEPT = ("/usr/share/doc/*/copyright",)


def packages(*, containers: bool, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The packages to ask for, in a stable order and without repetition."""
    chosen = (*SYSTEM, *PROVISIONING, *SERVERS, *(CONTAINERS if containers else ()), *more)
    return tuple(dict.fromkeys(chosen))

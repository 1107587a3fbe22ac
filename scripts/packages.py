"""Print the Debian packages that tests with virtual machines and containers lack, one a line."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from pgstead.programs import OF_A_HOST, OF_AN_IMAGE, SSH, missing

OF_TESTS = {
    "virsh": "libvirt-clients",
    "/usr/lib/libvirt/libvirt_lxc": "libvirt-daemon-driver-lxc",
    "/usr/share/OVMF/OVMF_CODE_4M.fd": "ovmf",
    "/usr/sbin/sshd": "openssh-server",
    "ip": "iproute2",
    "cloud-init": "cloud-init",
    "podman": "podman",
    "docker-registry": "docker-registry",
    "cc": "gcc",
    "pkg-config": "pkg-config",
    "/usr/include/libvirt/libvirt.h": "libvirt-dev",
    f"{sysconfig.get_path('include')}/Python.h": "python3-dev",
}
"""A file or a program of each package."""


if __name__ == "__main__":
    lacking = missing({**OF_A_HOST, **OF_AN_IMAGE, **SSH, **OF_TESTS})
    print("\n".join(sorted(set(lacking.values()))))

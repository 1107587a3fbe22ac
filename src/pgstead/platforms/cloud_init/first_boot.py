"""A machine's first boot: everything that cloud-init is told, as texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pgstead.machine import File, Machine, bind
from pgstead.platforms.cloud_init.multipart import multipart
from pgstead.platforms.cloud_init.network import network_config
from pgstead.platforms.cloud_init.script import NO_AUTOSTART, SCRIPT, first_boot_script
from pgstead.platforms.cloud_init.units import unit, unit_path
from pgstead.render import yaml_block

NO_CLUSTER = File(
    "/etc/postgresql-common/createcluster.conf", "create_main_cluster = false\n", mode=0o644
)
"""Debian's packages make a PostgreSQL cluster of their own unless told not to."""

VOLATILE = "/etc/tmpfiles.d/00-pgstead.conf"
"""The first file in order of names wins over packages' own lines for the same folder."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who gets into the machine, and how it proves that it is itself.

    `host_key` is an OpenSSH private key and its public one, both ed25519. `packages` are
    those that the platform needs for itself. `default_user` is whether the image's own first
    user is made as well, who gets a cloud's key pair.
    """

    authorized_keys: tuple[str, ...] = ()
    host_key: tuple[str, str] | None = field(default=None, repr=False)
    packages: tuple[str, ...] = ()
    default_user: bool = False


@dataclass(frozen=True, slots=True)
class FirstBoot:
    """The three files of a NoCloud disk."""

    user_data: str = field(repr=False)
    meta_data: str
    network_config: str

    @property
    def files(self) -> dict[str, str]:
        """The texts by file name."""
        return {
            "meta-data": self.meta_data,
            "network-config": self.network_config,
            "user-data": self.user_data,
        }


def first_boot(
    machine: Machine,
    access: Access,
    *,
    bindings: Mapping[str, str] = MappingProxyType({}),
    data_ids: Sequence[str] = (),
    unknown: str | None = None,
) -> FirstBoot:
    """What sets up a machine whose tokens were replaced (`places.conventional`).

    Parameters are those of `whole_user_data` and `network_config`. Raises `PlatformError` for
    a network that is incomplete.
    """
    user_data = whole_user_data(machine, access, bindings=bindings, data_ids=data_ids)
    return FirstBoot(
        user_data=user_data,
        meta_data=_meta_data(machine, user_data),
        network_config=yaml_block(network_config(machine.guest.nics, unknown)) + "\n",
    )


def whole_user_data(
    machine: Machine,
    access: Access,
    *,
    bindings: Mapping[str, str] = MappingProxyType({}),
    data_ids: Sequence[str] = (),
) -> str:
    """User data that sets up a machine, and all that is on it.

    `bindings` replace bootstrap-only values in its files; `data_ids` are the names that its
    data disk may have in /dev/disk/by-id.
    """
    parts = {
        "access.yml": _access(machine, access),
        "packages.yml": _packages(machine, access),
        "files.yml": _files(machine, bindings),
        "services.yml": _services(machine, data_ids),
    }
    return multipart({name: _cloud_config(part) for name, part in parts.items() if part})


def access_user_data(machine: Machine, access: Access) -> str:
    """User data that lets pgstead in, and nothing else: the rest is pushed (`after_boot`)."""
    return multipart({"access.yml": _cloud_config(_access(machine, access))})


_MERGE = [
    {"name": "list", "settings": ["append"]},
    {"name": "dict", "settings": ["no_replace", "recurse_list"]},
]
"""How a part is put together with those before it: lists grow, mappings are joined."""


def _cloud_config(part: Mapping[str, Any]) -> str:
    return f"#cloud-config\n{yaml_block({'merge_how': _MERGE, **part})}\n"


def _meta_data(machine: Machine, user_data: str) -> str:
    """Another instance for another content: cloud-init runs once for each."""
    digest = hashlib.sha256(user_data.encode()).hexdigest()[:16]
    found = {"instance-id": f"{machine.name}-{digest}", "local-hostname": machine.name}
    return json.dumps(found, indent=1) + "\n"


def _access(machine: Machine, access: Access) -> dict[str, Any]:
    return {
        "hostname": machine.name,
        "preserve_hostname": False,
        "manage_etc_hosts": True,
        # Any other makes cloud-init 22.4 end in error where no locales are installed.
        "locale": "C.UTF-8",
        "disable_root": True,
        "ssh_pwauth": False,
        "ssh_deletekeys": True,
        "ssh_genkeytypes": ["ed25519"],
        **_host_key(access),
        "users": [*(["default"] if access.default_user else []), _admin(machine, access)],
        "chpasswd": {"expire": False},
    }


def _host_key(access: Access) -> dict[str, Any]:
    if access.host_key is None:
        return {}
    private, public = access.host_key
    return {"ssh_keys": {"ed25519_private": private, "ed25519_public": public}}


def _admin(machine: Machine, access: Access) -> dict[str, Any]:
    admin = machine.guest.admin
    keys = dict.fromkeys(
        key.strip() for key in (admin.public_key or "", *access.authorized_keys) if key.strip()
    )
    return {
        "name": admin.user,
        "gecos": "Administrator",
        "shell": "/bin/bash",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "lock_passwd": admin.password is None,
        **({"plain_text_passwd": admin.password} if admin.password is not None else {}),
        **({"ssh_authorized_keys": list(keys)} if keys else {}),
    }


def _packages(machine: Machine, access: Access) -> dict[str, Any]:
    """What is to be installed; services that packages bring along do not start by themselves."""
    if not machine.guest.install:
        return {}
    wanted = [
        one.name if one.version is None else [one.name, apt_version(one.version)]
        for one in machine.software.packages
    ]
    wanted += [name for name in access.packages if name not in wanted]
    if not wanted:
        return {}
    policy = {"path": NO_AUTOSTART, "permissions": "0755", "content": "#!/bin/sh\nexit 101\n"}
    cluster = {
        "path": NO_CLUSTER.path,
        "permissions": f"{NO_CLUSTER.mode:04o}",
        "content": NO_CLUSTER.content,
    }
    return {"package_update": True, "packages": wanted, "write_files": [policy, cluster]}


def apt_version(version: str) -> str:
    """A version as apt takes it: without a revision, any revision of it."""
    return version if "-" in version else f"{version}*"


def _files(machine: Machine, bindings: Mapping[str, str]) -> dict[str, Any]:
    """Deferred: after packages were installed. They get their owners from the script."""
    files = [
        _file(one.path, f"{one.mode & 0o7777:04o}", bind(one.content, bindings))
        for one in machine.software.files
    ]
    return {"write_files": files} if files else {}


def _services(machine: Machine, data_ids: Sequence[str]) -> dict[str, Any]:
    files = after_boot(machine, data_ids)
    written = [_file(one.path, f"{one.mode:04o}", one.content) for one in files]
    return {"write_files": written, "runcmd": [[SCRIPT]]}


def after_boot(machine: Machine, data_ids: Sequence[str]) -> tuple[File, ...]:
    """What a machine needs besides its own files: units, and the script that is run last."""
    software, disk = machine.software, machine.guest.data_disk
    mount = disk.mount if disk else None
    units = [
        File(unit_path(one.name), unit(one, software.directories, mount), mode=0o644)
        for one in software.services
    ]
    if lines := volatile(machine):
        units.append(File(VOLATILE, lines, mode=0o644))
    return (*units, File(SCRIPT, first_boot_script(machine, data_ids), mode=0o755))


def volatile(machine: Machine) -> str:
    """Folders below /run, which are gone after each boot, for systemd-tmpfiles(8)."""
    return "".join(
        f"d {one.path} {one.mode:04o} {one.owner} {one.owner} -\n"
        for one in machine.software.directories
        if one.path.startswith("/run/")
    )


def _file(path: str, permissions: str, content: str) -> dict[str, Any]:
    return {"path": path, "permissions": permissions, "content": content, "defer": True}

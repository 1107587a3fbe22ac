"""What etcd's users may do: as the permissions of their roles, and as words to compare."""

from __future__ import annotations

from collections.abc import Iterable

from pgstead.clients.etcd import EtcdClient, Permission
from pgstead.membership import EtcdUser


def permissions(user: EtcdUser) -> frozenset[Permission]:
    """The permissions that a user's role should have."""
    return frozenset(
        (
            *map(Permission, user.prefixes),
            *(Permission(prefix, "READ") for prefix in user.read_prefixes),
            *(Permission(key, "WRITE", exact=True) for key in user.write_keys),
        )
    )


def text(granted: Iterable[Permission]) -> str:
    """The same in words, in one order: `/service/main/, write only /other/key`."""
    return ", ".join(sorted(map(_words, granted))) or "none"


def _words(permission: Permission) -> str:
    kind = "" if permission.kind == "READWRITE" else f"{permission.kind.lower()} only "
    return f"{kind}{permission.key}"


def ensure(client: EtcdClient, name: str, wanted: frozenset[Permission]) -> None:
    """Give the user its role, of its own name, with those permissions and no others."""
    if name not in client.roles():
        client.role_add(name)
    there = client.role_permissions(name)
    for permission in _in_order(wanted - there):
        client.role_grant(name, permission)
    kept = {(one.key, one.exact) for one in wanted}  # a grant replaces what there was
    for permission in _in_order(there):
        if (permission.key, permission.exact) not in kept:
            client.role_revoke(name, permission)
    if name not in client.user_roles(name):
        client.user_grant(name, name)


def _in_order(some: Iterable[Permission]) -> list[Permission]:
    return sorted(some, key=lambda one: (one.key, one.kind, one.exact))

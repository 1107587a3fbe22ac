"""Packages and setup commands on a machine that runs already, as at its first boot."""

from __future__ import annotations

from collections.abc import Iterable

from pgstead.machine import Command, Package
from pgstead.platforms.cloud_init import apt_version
from pgstead.platforms.guests.guest import Guest

SECONDS = 1800.0
"""A download over a slow line, and a machine without KVM that compiles what it fetched."""


def install(guest: Guest, packages: Iterable[Package]) -> None:
    """Install packages, each in its version; services are left alone. Raises `PlatformError`."""
    words = [
        one.name if one.version is None else f"{one.name}={apt_version(one.version)}"
        for one in packages
    ]
    if words:
        guest.run(["sh", "-c", _INSTALL, "install", *words], timeout=SECONDS)


def set_up(guest: Guest, commands: Iterable[Command]) -> None:
    """Run setup commands, in their order. Raises `PlatformError` for one that fails."""
    for one in commands:
        guest.run(["sh", "-c", _SET_UP, one.name, one.user, *one.argv], timeout=SECONDS)


# policy-rc.d (Debian's invoke-rc.d) keeps packages from touching services; a version may be an
# older one; a file that pgstead wrote is never replaced by a package's own.
_INSTALL = """set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if ! [ -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\\nexit 101\\n' >"$policy"
    chmod 0755 "$policy"
fi
apt-get -q -o DPkg::Lock::Timeout=300 update >/dev/null
apt-get -q -y -o DPkg::Lock::Timeout=300 \\
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \\
    --allow-downgrades install "$@" >/dev/null
"""

_SET_UP = """set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LANG=C.UTF-8
user=$1
shift
cd /
exec setpriv --reuid="$user" --regid="$(id -gn "$user")" --init-groups -- "$@"
"""

"""What this machine lacks for each platform, and the command that installs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pgstead import programs
from pgstead.errors import SpecError
from pgstead.platforms.finding import Finding, program_finding

if TYPE_CHECKING:
    from pgstead.spec import Stack

_MODULES = {"libvirt": "libvirt-python", "pycdlib": "pycdlib"}
_BUILDING = (
    "pip install 'pgstead[libvirt]'; libvirt-python is built with the packages libvirt-dev,"
    " pkg-config and a compiler"
)


def doctor(
    purpose: str | None,
    file: Path | None,
    *,
    fix: bool,
    say: Callable[[str], None],
) -> Sequence[Finding]:
    """Look at what that purpose takes (`PURPOSES`), or the platform of a stack file.

    With `fix`, install what is missing and look again; what is done is told to `say`.
    """
    from pgstead.platforms.local import doctor as local  # noqa: PLC0415 - the platform's own

    look = _of_stack(file) if file is not None else PURPOSES[purpose or "local"]
    findings = look()
    if fix and any(one.package for one in findings if not one.ok):
        if look is not _local and os.geteuid() != 0:
            return findings  # only root installs a daemon
        local.fix(findings, say)
        findings = look()
    return findings


Look = Callable[[], Sequence[Finding]]


def _of_stack(file: Path) -> Look:
    """Raises `SpecError` for a stack on no ground that could lack anything."""
    from pgstead import spec  # noqa: PLC0415 - start-up time

    stack = spec.load(file)
    if stack.platform.kind == "libvirt":
        return lambda: _libvirt(stack)
    if stack.platform.kind == "openstack":
        return lambda: _openstack(stack)
    if stack.platform.kind == "local":
        return lambda: _local(stack)
    raise SpecError(f"the platform {stack.platform.kind} needs nothing")


def _local(stack: Stack | None = None) -> Sequence[Finding]:
    from pgstead.platforms.local.doctor import doctor as look  # noqa: PLC0415
    from pgstead.spec import LocalPlatform  # noqa: PLC0415

    if stack is None:
        return look()
    settings = stack.platform
    assert isinstance(settings, LocalPlatform)  # noqa: S101 - `kind` says so
    given = settings.binaries.model_dump(exclude_none=True)
    return look({name: str(path) for name, path in given.items()}, settings.user)


def _libvirt(stack: Stack | None = None) -> Sequence[Finding]:
    """Without the libraries nothing else can be asked."""
    from pgstead.spec.libvirt import LibvirtPlatform as Settings  # noqa: PLC0415

    modules = [_module(name, package) for name, package in _MODULES.items()]
    if not all(one.ok for one in modules):
        return modules
    from pgstead.platforms.libvirt.doctor import doctor as look  # noqa: PLC0415 - may be missing

    settings = stack.platform if stack else Settings()
    assert isinstance(settings, Settings)  # noqa: S101 - `kind` says so
    return [*modules, *look(settings)]


def _openstack(stack: Stack | None = None) -> Sequence[Finding]:
    """By the OS_* variables where no stack file names a cloud."""
    from pgstead.spec.openstack import OpenStackPlatform as Settings  # noqa: PLC0415

    module = _module("openstack", "openstacksdk", "pip install 'pgstead[openstack]'")
    if not module.ok:
        return [module]
    from pgstead.platforms.openstack.doctor import doctor as look  # noqa: PLC0415 - as above

    settings = stack.platform if stack else Settings()
    assert isinstance(settings, Settings)  # noqa: S101 - `kind` says so
    return [module, *look(settings)]


def _module(name: str, package: str, hint: str = _BUILDING) -> Finding:
    what = f"Python package {package}"
    if find_spec(name) is None:
        return Finding(what, False, f"{package} is not installed", hint=hint)
    return Finding(what, True, "found")


def _image() -> Sequence[Finding]:
    """What `pgstead image build` takes."""
    from pgstead.errors import PgsteadError  # noqa: PLC0415 - start-up time
    from pgstead.image import tools  # noqa: PLC0415

    found = [program_finding(*each) for each in programs.OF_AN_IMAGE.items()]
    try:
        tools.require_rights()
    except PgsteadError as error:
        return [*found, Finding("rights", False, error.message, hint=error.hint)]
    return [*found, Finding("rights", True, "files of any owner can be made")]


PURPOSES: Mapping[str, Look] = {
    "local": _local,
    "libvirt": _libvirt,
    "openstack": _openstack,
    "image": _image,
}

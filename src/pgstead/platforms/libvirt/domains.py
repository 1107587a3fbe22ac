"""Domains: looked up, started, stopped; never one that is not the stack's own."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

import libvirt

from pgstead.errors import NotReady, PlatformError
from pgstead.platforms.libvirt import metadata
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.domain_xml import parsed, wires
from pgstead.platforms.libvirt.errors import explained
from pgstead.waiting import wait

ASK_AGAIN = 10.0
"""Seconds after which a guest is asked again to shut down: early in its boot it does not hear."""

DESTROY_SECONDS = 30.0


def find(host: Host, uuid: str) -> Any | None:
    """The domain with that id; None if there is none."""
    with explained("lookup of a domain", host.name):
        try:
            return host.connection.lookupByUUIDString(uuid)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise


def require(host: Host, uuid: str, machine: str) -> Any:
    """The domain with that id. Raises `PlatformError` if there is none."""
    found = find(host, uuid)
    if found is None:
        raise PlatformError(
            f"the machine {machine} is not on {host.name}", hint="`pgstead up` makes it anew"
        )
    return found


def check_free(host: Host, name: str, uuid: str, macs: set[str]) -> None:
    """Raises `PlatformError` where another domain has the name or one of the MAC addresses."""
    with explained("list of domains", host.name):
        for domain in host.connection.listAllDomains():
            if domain.UUIDString() == uuid:
                continue
            if domain.name() == name:
                raise PlatformError(
                    f"a domain {name!r} exists on {host.name} and is not this stack's",
                    hint="give the machine another name, or set platform.name_prefix; if it is"
                    " this stack's, and its state was lost: `pgstead adopt`",
                )
            _check_macs(host, domain, macs)


def _check_macs(host: Host, domain: Any, macs: set[str]) -> None:
    used = {each.mac.lower() for each in wires(parsed(domain.XMLDesc()))}
    if both := sorted(used & macs):
        raise PlatformError(
            f"the MAC address {both[0]} is in use by the domain {domain.name()!r} on {host.name}",
            hint="leave `mac` out and pgstead finds one that is free",
        )


def addresses(host: Host, own: set[str]) -> dict[str, str]:
    """The addresses of pgstead's machines on a host, but for those domains: whose each one is."""
    found: dict[str, str] = {}
    with explained("list of domains", host.name):
        for domain in host.connection.listAllDomains():
            if domain.UUIDString() in own:
                continue
            about = metadata.of_domain(domain)
            for address in about.get("addresses", ()):
                found[str(address)] = f"the domain {domain.name()} on {host.name}"
    return found


def config(domain: Any) -> Element:
    """A domain's XML as its next start takes it."""
    return parsed(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))


def is_on(domain: Any) -> bool:
    """Whether the guest runs, or stands still with its memory kept."""
    return bool(domain.isActive())


def start(host: Host, domain: Any) -> None:
    """Start a domain; one that runs goes on, one that was paused too."""
    with explained(f"start of {domain.name()}", host.name):
        if not is_on(domain):
            domain.create()
        elif domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
            domain.resume()


def suspend(host: Host, domain: Any) -> None:
    """Have a domain stand still, its memory kept; one that does already is left so."""
    with explained(f"suspension of {domain.name()}", host.name):
        if domain.state()[0] != libvirt.VIR_DOMAIN_PAUSED:
            domain.suspend()


def shut_down(host: Host, domain: Any, seconds: float) -> None:
    """Ask the guest to end and wait until it has. Raises `NotReady`."""
    name = domain.name()
    asked = _Asking(domain)
    with explained(f"shutdown of {name}", host.name):
        try:
            wait(
                lambda: True if not is_on(domain) else asked.again(),
                deadline=seconds,
                what=f"{name} on {host.name} to shut down",
                interval=(0.1, 1.0),
            )
        except NotReady as error:
            raise NotReady(
                error.message,
                hint=f"see `virsh console {name}`; `virsh destroy {name}` cuts it off",
            ) from None


class _Asking:
    """Asks a guest to shut down, now and again."""

    def __init__(self, domain: Any) -> None:
        self._domain = domain
        self._count = 0

    def again(self) -> None:
        # `wait` pauses for a second at most, so this counts seconds, roughly.
        if self._count % int(ASK_AGAIN) == 0:
            try:
                self._domain.shutdown()
            except libvirt.libvirtError:
                if is_on(self._domain):
                    raise
        self._count += 1


def cut_off(host: Host, domain: Any) -> None:
    """End a domain at once, and see that it has ended."""
    with explained(f"end of {domain.name()}", host.name):
        try:
            domain.destroy()
        except libvirt.libvirtError:
            if is_on(domain):
                raise
        wait(
            lambda: not is_on(domain),
            deadline=DESTROY_SECONDS,
            what=f"{domain.name()} on {host.name} to end",
        )


def undefine(host: Host, domain: Any) -> None:
    """Remove a domain's definition with all that libvirt keeps for it but its volumes."""
    flags = (
        libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    )
    with explained(f"removal of {domain.name()}", host.name):
        try:
            domain.undefineFlags(flags)
        except libvirt.libvirtError as error:
            if error.get_error_code() not in (
                libvirt.VIR_ERR_INVALID_ARG,
                libvirt.VIR_ERR_NO_SUPPORT,
            ):
                raise
            domain.undefine()  # drivers that know of none of these


def boot(domain: Any) -> str:
    """Which boot of the running domain this is: libvirt's number of the start, and our mark.

    libvirt counts from 1 again when a host starts anew: the number alone might come again.
    Raises `libvirt.libvirtError`.
    """
    return f"{domain.ID()}:{metadata.mark_of_boot(domain)}"

"""Ways into machines, where the network is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("libvirt")

from pgstead.platforms.guests.keys import Keys
from pgstead.platforms.libvirt.reaching import reach_of, way
from pgstead.reach.guest import GuestReach
from pgstead.reach.guest_agent import AgentTransport
from pgstead.reach.ssh import SshTransport
from pgstead.spec.libvirt import LibvirtPlatform as Settings

MACVTAP = "<interface type='direct'><mac address='52:54:00:00:00:01'/><source dev='e'/></interface>"
NETWORK = "<interface type='network'><mac address='52:54:00:00:00:02'/></interface>"


class Domain:
    """As much of a domain as is asked for."""

    def __init__(self, uri: str, *interfaces: str) -> None:
        self.uri, self.interfaces = uri, interfaces

    def XMLDesc(self) -> str:  # noqa: N802 - libvirt's name
        return f"<domain><devices>{''.join(self.interfaces)}</devices></domain>"

    def connect(self) -> Any:
        return self

    def getURI(self) -> str:  # noqa: N802 - libvirt's name
        return self.uri

    def name(self) -> str:
        return "a"


@pytest.mark.parametrize(
    ("given", "shared", "local", "wanted"),
    [
        ({}, True, True, "guest_agent"),
        ({}, True, False, "ssh"),
        ({}, False, True, "ssh"),
        ({"reach": "ssh"}, True, True, "ssh"),
        ({"reach": "none"}, True, True, "none"),
    ],
)
def test_a_host_cannot_reach_its_own_macvtap_guests(
    given: dict[str, str], wanted: str, *, shared: bool, local: bool
) -> None:
    assert way(Settings.model_validate(given), shared=shared, local=local) == wanted


@pytest.mark.parametrize(
    ("domain", "kind"),
    [
        (Domain("qemu:///system", MACVTAP), AgentTransport),
        (Domain("qemu:///system", MACVTAP, NETWORK), SshTransport),
        (Domain("qemu+ssh://root@b/system", MACVTAP), SshTransport),
        (Domain("qemu:///system", NETWORK), SshTransport),
    ],
)
def test_such_a_guest_is_entered_by_its_agent(
    domain: Domain, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    make = reach_of(Settings(), Keys(lambda name: f"secret of {name}"), tmp_path)
    assert make is not None
    found = make("a", "10.0.0.1", "ubuntu", domain)
    assert isinstance(found, GuestReach)
    assert isinstance(found.transport, kind)

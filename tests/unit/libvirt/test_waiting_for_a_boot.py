"""How a first boot is waited for: by listening where the console talks, by asking elsewhere."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from pgstead.errors import NotReady
from pgstead.platforms.cloud_init import DONE
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.console import Console
from pgstead.platforms.libvirt.guest import Guest
from pgstead.reach.base import Reach
from support.machines import machine


@dataclass
class Spoken:
    """A console that has said these lines."""

    said: tuple[str, ...]

    def says(self, text: str) -> str | None:
        return next((line for line in self.said if text in line), None)

    def tail(self) -> str:
        return "\n".join(self.said)


@dataclass
class Asked:
    """A way in that counts how often it is asked, and knows of an end without errors."""

    times: list[str] = field(default_factory=list)

    def read(self, path: str) -> str:
        self.times.append(path)
        return json.dumps({"v1": {"errors": []}})


class Domain:
    def isActive(self) -> bool:  # noqa: N802 - libvirt's name
        return True

    def XMLDesc(self) -> str:  # noqa: N802 - libvirt's name
        return "<domain/>"


def wait(reach: Asked | None, *said: str, seconds: float = 0.0) -> None:
    host = Host("host", "qemu:///system", "default", None, None, None)
    guest = Guest(machine(), host, cast("Any", Domain()), cast("Reach | None", reach))
    guest.wait_first_boot(cast("Console", Spoken(said)), seconds)


def test_a_machine_whose_console_talks_is_not_asked_before_it_is_done() -> None:
    reach = Asked()
    with pytest.raises(NotReady):
        wait(reach, "Cloud-init v. 22.4.2 running 'init'", "cloud-init[3]: works")
    assert reach.times == []
    wait(reach, "cloud-init[3]: works", DONE)
    assert len(reach.times) == 1


def test_a_machine_whose_console_is_silent_is_asked() -> None:
    reach = Asked()
    wait(reach)
    assert len(reach.times) == 1


def test_a_cloud_init_that_never_spoke_is_told_of() -> None:
    with pytest.raises(NotReady, match="login:") as caught:
        wait(None, "localhost login:")
    assert "sr_mod" in (caught.value.hint or "")
    with pytest.raises(NotReady) as caught:
        wait(None, "cloud-init[3]: works", "localhost login:")
    assert "rerun" in (caught.value.hint or "")

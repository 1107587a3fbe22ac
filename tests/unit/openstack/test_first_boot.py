"""Whoever cannot enter a server hears of its first boot by its console."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("openstack")

from openstack.compute.v2 import server
from openstack.compute.v2._proxy import Proxy as Compute
from openstack.exceptions import HttpException

from pgstead.errors import NotReady, PlatformError
from pgstead.platforms.cloud_init import DONE, FAILED
from pgstead.platforms.openstack import setting_up
from pgstead.platforms.openstack.setting_up import SettingUp
from support.openstack.fake import FakeCloud, digest, plain, platform, proxy

MARKS = {"pgstead_stack_id": "0123", "pgstead_stack": "shop", "pgstead_machine": "thing-1"}
THERE = server.Server(id="s1", name="thing-1", status="ACTIVE", metadata=MARKS)


def hearing(*said: str | Exception) -> tuple[SettingUp, Any]:
    """Sets up a server whose console says one of these after the other."""
    cloud = FakeCloud()
    flavors = cloud.compute.flavors
    cloud.compute = proxy(Compute, "servers", "get_server_console_output", "set_server_metadata")
    cloud.compute.flavors = flavors
    cloud.compute.servers.return_value = [THERE]
    cloud.compute.get_server_console_output.side_effect = [
        one if isinstance(one, Exception) else {"output": one} for one in said
    ]
    made = platform(cloud, delivery="user_data")
    (resource,) = made.lower([plain(data_disk=None)], digest)
    return SettingUp(made.ground, resource, {}), cloud.compute


def looks(count: int) -> Callable[..., Any]:
    """`waiting.wait` whose time is up after so many looks."""

    def wait(ready: Any, *, what: str, error: Any, **_: Any) -> Any:
        for _look in range(count):
            if found := ready():
                return found
        raise NotReady(f"waited for {what}, in vain: {error()}")

    return wait


def test_a_console_that_cannot_be_read_for_a_while_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(setting_up, "wait", looks(3))
    made, compute = hearing(HttpException("nova is tired", http_status=500), "Linux", f"{DONE}\n")
    made.wait_first_boot()
    compute.set_server_metadata.assert_called_once_with("s1", pgstead_set_up="yes")


def test_a_cloud_that_shows_no_console_is_told_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(setting_up, "wait", looks(1))
    refused = HttpException("consoles are not for you", http_status=403)
    made, compute = hearing(refused, refused)
    with pytest.raises(NotReady, match="consoles are not for you") as told:
        made.wait_first_boot()
    assert "cloud_init_deadline: 0" in told.value.message
    compute.set_server_metadata.assert_not_called()


def test_a_first_boot_that_failed_is_told_with_the_consoles_last_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(setting_up, "wait", looks(1))
    made, _ = hearing(f"{FAILED} (1): users\nuseradd: no space")
    with pytest.raises(PlatformError, match="useradd: no space"):
        made.wait_first_boot()

"""What every guest carries: time synchronisation and metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pgstead.machine import Machine, Package

Tree = dict[str, Any]
Make = Callable[..., Machine]


def _chrony(make: Make, tree: Tree, **values: Any) -> str:
    machine = make({**tree, "chrony": {"enabled": True, **values}}, platform="memory")
    return next(one.content for one in machine.software.files if one.service == "chrony")


def test_chrony_is_told_all_of_its_sources(make: Make, server: Tree) -> None:
    servers = [{"url": "ntp.local", "options": ["iburst", "maxpoll 6"]}]
    pools = [{"url": "pool.local", "options": []}]
    text = _chrony(make, server, servers=servers, pools=pools)
    assert "\nserver ntp.local iburst maxpoll 6\n" in text
    assert "\npool pool.local\n" in text


def test_chrony_steps_the_clock_as_told(make: Make, server: Tree) -> None:
    text = _chrony(make, server, makestep={"threshold": 0.5, "limit": -1})
    assert "\nmakestep 0.5 -1\n" in text


def test_without_chrony_the_images_own_stays(make: Make, server: Tree) -> None:
    for chrony in ({}, {"enabled": False, "servers": [{"url": "ntp.local", "options": []}]}):
        software = make({**server, "chrony": chrony}, platform="memory").software
        assert Package("chrony") not in software.packages
        assert "chrony" not in {one.name for one in software.services}


def test_every_guest_has_metrics(make: Make, server: Tree) -> None:
    software = make({**server, "ip": "10.1.0.1"}, platform="memory").software
    assert Package("prometheus-node-exporter") in software.packages
    (service,) = [one for one in software.services if one.name == "prometheus-node-exporter"]
    assert service.command[-1] == "--web.listen-address=10.1.0.1:9100"
    assert (service.user, service.guest_only) == ("prometheus", True)
    assert service.port == 9100, "security groups let it in"


def test_metrics_may_be_elsewhere_or_nowhere(make: Make, server: Tree) -> None:
    def commands(**values: Any) -> str:
        machine = make({**server, "node_exporter": values}, platform="memory")
        return str([(one.command, one.port) for one in machine.software.services])

    assert ":9200'), 9200)" in commands(port=9200)
    assert "node-exporter" not in commands(enabled=False)


def test_where_a_kernel_is_shared_nobody_has_metrics(make: Make, server: Tree) -> None:
    assert [one.name for one in make(server).software.services] == ["postgres"]

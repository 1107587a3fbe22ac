from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from pgstead.certificates import Authority
from pgstead.errors import SpecError
from pgstead.machine import Machine, OnChange
from pgstead.membership import LoadBalancer
from pgstead.modules.build import Blueprint
from pgstead.modules.fake import FakeMaterials
from pgstead.modules.postgres_load_balancer.variables import seconds

Tree = dict[str, Any]
Make = Callable[..., Machine]
Build = Callable[..., Blueprint]

DNS = {
    "postgres_domain": "server.postgres.local",
    "postgres_nodes_max_count": 3,
    "postgres_nameserver_ips": ["10.0.0.53"],
}


def _with(tree: Tree, **values: Any) -> Tree:
    changed = deepcopy(tree)
    changed["haproxy"] |= values
    return changed


def _sections(machine: Machine) -> dict[str, list[str]]:
    """The configuration's lines, without indentation and comments, by section."""
    (text,) = [file.content for file in machine.software.files if file.path.endswith(".cfg")]
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line and not line.startswith((" ", "#")):
            lines = found[line] = []
        elif line and not line.lstrip().startswith("#"):
            lines.append(line.strip())
    return found


def _member(machine: Machine) -> LoadBalancer:
    assert isinstance(machine.membership, LoadBalancer)
    return machine.membership


def test_the_primary_is_asked_for_by_its_present_name(make: Make, balancer: Tree) -> None:
    check = (
        "check-ssl port 4443 verify required ca-file '@{path:/etc/haproxy/tls/ca.crt}'"
        " crt '@{path:/etc/haproxy/tls/patroni-client.pem}'"
    )
    primary = _sections(make({**balancer, "ip": "10.1.0.9"}))["listen primary"]
    assert primary == [
        "bind 10.1.0.9:5432",
        "option httpchk",
        "http-check send meth OPTIONS uri /primary",
        "http-check expect status 200",
        "server postgres-1 10.1.0.5:5432 check " + check,
    ]


def test_the_defaults_are_those_of_old(make: Make, balancer: Tree) -> None:
    machine = make(balancer)
    sections = _sections(machine)
    assert "default-server inter 1s fall 1 rise 1" in sections["defaults"]
    assert {"timeout connect 15s", "timeout check 15s", "timeout client 60s"} <= set(
        sections["defaults"]
    )
    assert "listen read_only" not in sections
    assert "frontend statistics" not in sections
    membership = _member(machine)
    assert (membership.read_only_port, membership.statistics_port) == (None, None)
    assert (membership.port, membership.api_port) == (5432, 4443)
    assert len(machine.warnings) == 3


def test_no_option_ends_the_sessions_of_a_reload(make: Make, balancer: Tree) -> None:
    machine = make(balancer)
    (file,) = [one for one in machine.software.files if one.path.endswith(".cfg")]
    assert file.on_change is OnChange.RELOAD
    assert not any("hard-stop-after" in line for line in _sections(machine)["global"])
    (service,) = machine.software.services
    assert service.reload_signal == "USR2"
    assert {"-W", "-db"} <= set(service.command)


def test_fast_checks_that_cut_sessions(make: Make, balancer: Tree) -> None:
    checks = {
        "inter": "1s",
        "fastinter": "300ms",
        "downinter": "300ms",
        "fall": 3,
        "rise": 1,
        "shutdown_sessions_on_marked_down": True,
    }
    timeouts = {"connect": "1s", "check": "2s", "idle": "24h"}
    machine = make(_with(balancer, checks=checks, timeouts=timeouts))
    line = (
        "default-server inter 1s fastinter 300ms downinter 300ms fall 3 rise 1"
        " on-marked-down shutdown-sessions"
    )
    told = ("connect 1s", "check 2s", "client 24h", "server 24h")
    assert {line, *(f"timeout {each}" for each in told)} <= set(_sections(machine)["defaults"])
    assert machine.warnings == ()


def test_members_by_dns(make: Make, balancer: Tree) -> None:
    tree = _with(balancer, **DNS)
    del tree["haproxy"]["members"]
    machine = make(tree)
    sections = _sections(machine)
    assert "nameserver dns1 10.0.0.53:53" in sections["resolvers members"]
    for name, port in (("primary", 5432), ("api", 4443)):
        start = f"server-template member 3 server.postgres.local:{port} resolvers members"
        assert any(line.startswith(start) for line in sections[f"listen {name}"])
    assert _member(machine).members == ()


def test_known_members_are_checked_once_for_two_ports(make: Make, balancer: Tree) -> None:
    api = _sections(make(balancer))["listen api"]
    assert "server postgres-1 10.1.0.5:4443 track primary/postgres-1" in api
    assert not any("check" in line for line in api)


def test_reads_go_to_replicas_and_only_if_told_to_the_primary(make: Make, balancer: Tree) -> None:
    none = make(_with(balancer, read_only={"enabled": True}))
    lines = _sections(none)["listen read_only"]
    assert "http-check send meth OPTIONS uri /replica" in lines
    assert not any("use_backend" in line for line in lines)
    assert _member(none).read_only_port == 5433
    read_only = {"enabled": True, "port": 6000, "fallback": "primary", "maximum_lag": "16 MB"}
    lines = _sections(make(_with(balancer, read_only=read_only)))["listen read_only"]
    assert "use_backend primary if { nbsrv(read_only) eq 0 }" in lines
    assert "http-check send meth OPTIONS uri /replica?lag=16MB" in lines
    assert lines[0].endswith(":6000")


def test_outputs_name_the_endpoints(build_all: Build, balancer: Tree) -> None:
    read_only = {"enabled": True, "port": 6000}
    outputs = build_all({"l": _with(balancer, read_only=read_only)}).outputs["l"]
    assert outputs["endpoint"].value == "10.0.0.1:5432"
    assert outputs["read_only_endpoint"].value == "10.0.0.1:6000"
    assert build_all({"l": balancer}).outputs["l"]["read_only_endpoint"].value is None


def test_statistics_want_a_client_certificate(make: Make, balancer: Tree) -> None:
    machine = make(_with(balancer, statistics={"enabled": True}))
    bind = _sections(machine)["frontend statistics"][0]
    assert "ssl crt" in bind
    assert bind.endswith("verify required")


def test_certificates_and_their_files(build_all: Build, balancer: Tree) -> None:
    materials = FakeMaterials()
    (machine,) = build_all({"l": balancer}, materials=materials).machines
    asked = materials.asked
    assert (asked["l/patroni-client"].client, asked["l/patroni-client"].server) == (True, False)
    assert (asked["l/server"].server, asked["l/server"].addresses) == (True, ("10.0.0.1",))
    for file in machine.software.files:
        assert file.secret == (".pem" in file.path)
        assert (file.on_change, file.service) == (OnChange.RELOAD, "haproxy")
    joined = next(one for one in machine.software.files if one.path.endswith("client.pem"))
    assert joined.content.endswith("<key l/patroni-client>\n")


def test_the_authority_of_old_has_its_own_periods(build_all: Build, balancer: Tree) -> None:
    materials = FakeMaterials()
    client = {
        "ca_key": "key",
        "ca_certificate": "authority",
        "certificate_validity_period": 876_000,
        "certificate_early_renewal_period": 8_760,
    }
    tree = _with(balancer, patroni_client=client)
    del tree["ca"]
    blueprint = build_all({"l": tree}, materials=materials)
    request = materials.asked["l/patroni-client"]
    assert (request.validity_hours, request.early_renewal_hours) == (876_000, 8_760)
    assert materials.authority(request.authority) == Authority("authority", "key")
    assert sum("100 years" in warning for warning in blueprint.warnings) == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"members": []}, "give one of haproxy.members"),
        (DNS, "give one of haproxy.members"),
        ({"members": [], "postgres_domain": "a"}, "needs haproxy.postgres_nodes_max_count"),
        ({"members": [{"name": "a", "ip": "10.0.0.1"}] * 2}, "names a member twice"),
        ({"patroni_client": {"ca_key": "a", "ca_certificate": "b"}}, "give one of `ca`"),
        ({"read_only": {"enabled": True, "port": 5432}}, r"read_only\.port 5432 is used twice"),
        ({"statistics": {"enabled": True, "port": 4443}}, r"statistics\.port 4443 is used twice"),
        ({"timeouts": {"idle": "soon"}}, "duration"),
        ({"timeouts": {"idle": "0s"}}, "duration"),
        ({"read_only": {"maximum_lag": "a lot"}}, "must match"),
        ({"postgres_domain": "a b", "members": []}, "must match"),
    ],
)
def test_what_cannot_work_is_refused(values: Tree, words: str, make: Make, balancer: Tree) -> None:
    with pytest.raises(SpecError, match=words):
        make(_with(balancer, **values))


def test_a_registry_has_no_effect_and_is_told(make: Make, balancer: Tree) -> None:
    registry = {"url": "https://registry.local", "username": "me", "password": "made-up"}
    machine = make({**balancer, "container_registry": registry})
    assert any("container_registry" in warning for warning in machine.warnings)
    assert "made-up" not in repr(machine)


@pytest.mark.parametrize(("text", "value"), [("300ms", 0.3), ("1s", 1), ("2m", 120), ("500", 0.5)])
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


def test_the_kernels_patience_is_set_on_both_sides(make: Make, balancer: Tree) -> None:
    tcp = {"keepalives_idle": 7, "keepalives_interval": 2, "keepalives_count": 4}
    machine = make(_with(balancer, tcp={**tcp, "user_timeout": 9000}))
    sections = _sections(machine)
    defaults = sections["defaults"]
    for side in ("cli", "srv"):
        lines = {f"{side}tcpka-idle 7s", f"{side}tcpka-intvl 2s", f"{side}tcpka-cnt 4"}
        assert lines <= set(defaults)
    assert any(line.endswith("tcp-ut 9000ms") and "default-server" in line for line in defaults)
    assert any(line.endswith(":5432 tcp-ut 9000ms") for line in sections["listen primary"])


def test_a_short_idle_timeout_is_warned_about_with_the_rule(make: Make, balancer: Tree) -> None:
    (warning,) = (w for w in make(balancer).warnings if "timeouts.idle" in w)
    assert "should be at least 10m" in warning
    assert "PgBouncer" in warning

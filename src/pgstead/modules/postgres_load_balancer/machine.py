"""A load balancer as a machine."""

from __future__ import annotations

from dataclasses import dataclass

from pgstead.certificates import KeyPair
from pgstead.machine import (
    Directory,
    File,
    Machine,
    OnChange,
    Package,
    Probe,
    Service,
    Software,
    User,
    binary,
    path,
)
from pgstead.membership import LoadBalancer, TlsClient
from pgstead.modules.base import Context
from pgstead.modules.parts.certificates import SigningAuthority, issue, operator, tls_files
from pgstead.modules.parts.common import common_software
from pgstead.modules.parts.containers import (
    READY_SECONDS,
    Container,
    afterwards,
    container_software,
    qualified,
    run_in,
)
from pgstead.modules.parts.fluentd import fluentd_software
from pgstead.modules.parts.guest import guest
from pgstead.modules.parts.software import combine
from pgstead.modules.postgres_load_balancer.cautions import cautions
from pgstead.modules.postgres_load_balancer.variables import (
    HAProxy,
    PostgresLoadBalancer,
    seconds,
)
from pgstead.render import haproxy_word, render

__all__ = ["machine"]

CONFIGURATION = "/etc/haproxy/haproxy.cfg"
TLS = "/etc/haproxy/tls"
RUN = "/run/haproxy"
PORT = 5432
HELD_SECONDS = 3
"""How long a client that connects is held while no member takes its connection."""

IMAGE = "haproxy:3.0"
"""Where a registry is given and no image: a release that is supported for years."""


@dataclass(frozen=True, slots=True)
class _Certificates:
    client: KeyPair
    server: KeyPair
    operator: TlsClient


def machine(variables: PostgresLoadBalancer, context: Context) -> Machine:
    """The machine of a load balancer."""
    address = context.materials.address(variables.name, variables.wanted_ip)
    certificates = _certificates(_with_authority(variables), context, address)
    software = combine(
        _program(variables, context),
        _haproxy(variables, context, address, certificates),
        common_software(variables, context, address),
        fluentd_software(
            variables.fluentd,
            context,
            variables.name,
            service="haproxy",
            install=variables.install_dependencies,
        ),
    )
    return Machine(
        name=variables.name,
        module=context.module,
        address=address,
        software=software,
        membership=_membership(variables, address, certificates.operator),
        warnings=cautions(variables, context),
        guest=guest(variables, context, address),
    )


def _with_authority(variables: PostgresLoadBalancer) -> PostgresLoadBalancer:
    """The variables with `haproxy.patroni_client` said the way other modules say it."""
    given = variables.haproxy.patroni_client
    if given is None:
        return variables
    ca = SigningAuthority(key=given.ca_key, certificate=given.ca_certificate)
    return variables.model_copy(
        update={
            "ca": ca,
            "certificate_validity_period": given.certificate_validity_period,
            "certificate_early_renewal_period": given.certificate_early_renewal_period,
        }
    )


def _certificates(variables: PostgresLoadBalancer, context: Context, address: str) -> _Certificates:
    name = variables.name
    return _Certificates(
        client=issue(context, variables, "patroni-client", common_name=name, client=True),
        server=issue(
            context, variables, "server", common_name=name, hosts=(address, name), server=True
        ),
        operator=operator(context, variables),
    )


def _program(variables: PostgresLoadBalancer, context: Context) -> Software:
    """HAProxy as a package, or as a container on machines of their own."""
    install = variables.install_dependencies
    if not _in_container(variables, context):
        return Software(packages=(Package("haproxy"),) if install else ())
    container = Container(
        name="haproxy",
        image=qualified(variables.haproxy_image or IMAGE, variables.container_registry.host),
        user="haproxy",
        runtime=variables.container_runtime,
        mounts={"/etc/haproxy": "/etc/haproxy:ro", RUN: RUN},
        environment={},
        registry=variables.container_registry,
    )
    return container_software(container, install=install)


def _in_container(variables: PostgresLoadBalancer, context: Context) -> bool:
    return variables.wants_container and not context.facts.shares_kernel


def _haproxy(
    variables: PostgresLoadBalancer, context: Context, address: str, certificates: _Certificates
) -> Software:
    client, server = certificates.client, certificates.server
    texts = {
        "ca.crt": client.ca,
        "patroni-client.pem": _joined(client),
        "server.pem": _joined(server),
    }
    configuration = File(
        CONFIGURATION,
        _configuration(variables.haproxy, address),
        mode=0o640,
        owner="haproxy",
        on_change=OnChange.RELOAD,
        service="haproxy",
    )
    return Software(
        users=(User("haproxy"),),
        directories=(
            Directory("/etc/haproxy", mode=0o755, owner="haproxy"),
            Directory(TLS, mode=0o750, owner="haproxy"),
            Directory(RUN, mode=0o755, owner="haproxy"),
        ),
        files=(configuration, *tls_files(TLS, texts, owner="haproxy", service="haproxy")),
        services=(_service(variables, context),),
    )


def _service(variables: PostgresLoadBalancer, context: Context) -> Service:
    """A master that stays in the foreground, and workers that it replaces.

    USR2 starts a new worker on the same sockets; the old one stops listening and ends with
    its last session.
    """
    socket = f"{path(f'{RUN}/master.sock')},mode,600"
    words = ("-W", "-db", "-f", path(CONFIGURATION), "-S", socket)
    contained = _in_container(variables, context)
    return Service(
        name="haproxy",
        command=run_in("haproxy", "haproxy", *words) if contained else (binary("haproxy"), *words),
        # A container is started by root, with the user's numbers.
        user="root" if contained else "haproxy",
        reload_signal="USR2",
        stop_signal="TERM",
        stop_seconds=10,
        ready=Probe(PORT, READY_SECONDS) if contained else Probe(PORT),
        afterwards=afterwards("haproxy") if contained else (),
    )


def _configuration(haproxy: HAProxy, address: str) -> str:
    client = haproxy_word(path(f"{TLS}/patroni-client.pem"))
    ca = haproxy_word(path(f"{TLS}/ca.crt"))
    lag, tcp = haproxy.read_only.maximum_lag, haproxy.tcp
    return render(
        "pgstead.modules.postgres_load_balancer",
        "haproxy.cfg.j2",
        address=address,
        haproxy=haproxy,
        admin_socket=path(f"{RUN}/admin.sock"),
        check_options=_check_options(haproxy),
        bind_options=f" tcp-ut {tcp.user_timeout}ms" if tcp.user_timeout else "",
        held_seconds=HELD_SECONDS,
        retries=_retries(haproxy),
        silence=tcp.keepalives_idle + tcp.keepalives_interval * tcp.keepalives_count,
        check_server=f"check check-ssl port 4443 verify required ca-file {ca} crt {client}",
        replica_path=f"/replica?lag={lag.replace(' ', '')}" if lag else "/replica",
        tls={"server": path(f"{TLS}/server.pem"), "ca": path(f"{TLS}/ca.crt")},
    )


def _retries(haproxy: HAProxy) -> int:
    """How often a refused connection is tried again within `HELD_SECONDS`.

    HAProxy pauses for `timeout connect`, at most a second, before it tries the same server again
    (configuration manual, "retries"): the shorter it is, the sooner a new primary is found.
    """
    pause = min(seconds(haproxy.timeouts.connect), 1.0)
    return max(int(HELD_SECONDS / pause) - 1, 0) if pause else 0


def _check_options(haproxy: HAProxy) -> str:
    checks = haproxy.checks
    words = [f"inter {checks.inter}"]
    words += [f"fastinter {checks.fastinter}"] if checks.fastinter else []
    words += [f"downinter {checks.downinter}"] if checks.downinter else []
    words += [f"fall {checks.fall}", f"rise {checks.rise}"]
    if checks.shutdown_sessions_on_marked_down:
        words.append("on-marked-down shutdown-sessions")
    if haproxy.tcp.user_timeout:
        words.append(f"tcp-ut {haproxy.tcp.user_timeout}ms")
    return " ".join(words)


def _joined(pair: KeyPair) -> str:
    """Certificate and key in one text, the way HAProxy wants them."""
    return f"{pair.certificate.rstrip()}\n{pair.key.rstrip()}\n"


def _membership(variables: PostgresLoadBalancer, address: str, tls: TlsClient) -> LoadBalancer:
    haproxy = variables.haproxy
    return LoadBalancer(
        name=variables.name,
        address=address,
        operator=tls,
        members=tuple(member.name for member in haproxy.members),
        port=PORT,
        read_only_port=haproxy.read_only.port if haproxy.read_only.enabled else None,
        api_port=haproxy.api.port if haproxy.api.enabled else None,
        statistics_port=haproxy.statistics.port if haproxy.statistics.enabled else None,
    )

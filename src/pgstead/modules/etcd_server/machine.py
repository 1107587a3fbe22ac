"""An etcd member as a machine."""

from __future__ import annotations

from pgstead.certificates import KeyPair
from pgstead.machine import (
    BOOTSTRAP_ONLY,
    Directory,
    Disk,
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
from pgstead.membership import EtcdAccess, EtcdMember, EtcdUser, TlsClient
from pgstead.modules.base import Context
from pgstead.modules.etcd_server.cautions import cautions
from pgstead.modules.etcd_server.variables import EtcdServer
from pgstead.modules.parts.certificates import issue, operator, tls_files
from pgstead.modules.parts.common import common_software
from pgstead.modules.parts.downloads import (
    Archive,
    download_software,
    downloaded,
    etcd_release,
    pinned,
)
from pgstead.modules.parts.etcd_minor import refused_minor
from pgstead.modules.parts.fluentbit import fluentbit_software
from pgstead.modules.parts.guest import guest
from pgstead.modules.parts.model import reveal
from pgstead.modules.parts.software import combine
from pgstead.render import render

__all__ = ["machine", "shared"]

CONFIGURATION = "/etc/etcd/conf.yml"
TLS = "/etc/etcd/tls"
DATA = "/var/lib/etcd"
CLIENT_PORT = 2379
PEER_PORT = 2380

STAGGER = 0.08
"""Seconds between the starts of members: started at once, each finds the others' ports
open but not yet served, and waits for two seconds."""


def machine(variables: EtcdServer, context: Context, *, common_name: str | None = None) -> Machine:
    """The machine of an etcd member; its certificate's common name is its own by default."""
    address = context.materials.address(variables.name, variables.wanted_ip)
    pair = _server_pair(variables, context, address, common_name or variables.name)
    software = combine(
        _etcd(variables, context, address, pair),
        common_software(variables, context, address),
        fluentbit_software(
            variables.fluentbit,
            variables.fluentbit_dynamic_config,
            context,
            variables.name,
            service="etcd",
            install=variables.install_dependencies,
        ),
    )
    member = _membership(variables, context, address, pair)
    return Machine(
        name=variables.name,
        module=context.module,
        address=address,
        software=software,
        membership=member,
        warnings=cautions(variables, context),
        guest=guest(
            variables, context, address, data=Disk("data", mount=DATA, owner="etcd", mode=0o700)
        ),
        refused=refused_minor(context, _version(variables, context), member),
    )


def shared(variables: EtcdServer) -> tuple[str, dict[str, object]]:
    """The cluster a member belongs to, and what all of its members must agree on."""
    return f"etcd cluster {variables.cluster.initial_token!r}", {
        f"etcd.{key}": value for key, value in variables.etcd.model_dump().items()
    }


def _server_pair(
    variables: EtcdServer, context: Context, address: str, common_name: str
) -> KeyPair:
    """Its certificate is a client's, too: to its peers, and to itself behind the gateway.

    127.0.0.1 stands in it because that is where peers on one machine seem to come from,
    and where an administrator on the machine connects to.
    """
    if variables.tls is not None:
        given = variables.tls
        return KeyPair(given.server_cert, reveal(given.server_key), given.ca_cert)
    return issue(
        context,
        variables,
        "server",
        common_name=common_name,
        hosts=(address, "127.0.0.1"),
        server=True,
        client=True,
    )


def _etcd(variables: EtcdServer, context: Context, address: str, pair: KeyPair) -> Software:
    texts = {"ca.crt": pair.ca, "server.crt": pair.certificate, "server.key": pair.key}
    program, programs = _program(variables, context)
    own = Software(
        users=(User("etcd"),),
        directories=(
            Directory("/etc/etcd", mode=0o755, owner="etcd"),
            Directory(TLS, mode=0o750, owner="etcd"),
            Directory(DATA, mode=0o700, owner="etcd", data=True),
        ),
        files=(
            File(
                CONFIGURATION,
                _configuration(variables, context, address),
                mode=0o640,
                owner="etcd",
                on_change=OnChange.RESTART,
                service="etcd",
            ),
            # etcd reads its certificates anew at each handshake: no service to tell.
            *tls_files(TLS, texts, owner="etcd", service=None),
        ),
        services=(_service(program),),
    )
    return combine(programs, own)


def _program(variables: EtcdServer, context: Context) -> tuple[str, Software]:
    """What runs, and what brings it: packages, or an archive on machines of their own."""
    archive = _archive(variables)
    if not variables.install_dependencies:
        return binary("etcd"), Software()
    if archive is None or context.facts.shares_kernel:
        packages = (Package("etcd-server"), Package("etcd-client"))
        return binary("etcd"), Software(packages=packages)
    fetched = download_software(archive, "etcd", ("etcd", "etcdctl"))
    return downloaded(archive, "etcd", "etcd"), fetched


def _version(variables: EtcdServer, context: Context) -> str | None:
    """The version that will run, as far as it is known: packages of guests bring their own."""
    if context.facts.shares_kernel:
        return context.facts.versions.get("etcd")
    archive = _archive(variables) if variables.install_dependencies else None
    return None if archive is None else archive.url.rpartition("/download/")[2]


def _archive(variables: EtcdServer) -> Archive | None:
    if variables.etcd_download is not None:
        return pinned(variables.etcd_download)
    version = variables.etcd_version
    return None if version is None else etcd_release(version)


def _service(program: str) -> Service:
    return Service(
        name="etcd",
        command=(program, "--config-file", path(CONFIGURATION)),
        user="etcd",
        ready=Probe(CLIENT_PORT),
        stagger=STAGGER,
    )


def _configuration(variables: EtcdServer, context: Context, address: str) -> str:
    cluster = variables.cluster
    client_url = f"https://{address}:{CLIENT_PORT}"
    listen = [client_url]
    if not context.facts.shares_kernel:
        listen.append(f"https://127.0.0.1:{CLIENT_PORT}")
    # Clients' authority stands in it only where they must show a certificate: with one, etcd
    # asks for it whatever client-cert-auth says (ServerConfig of 3.4 and 3.5's transport).
    return render(
        "pgstead.modules.etcd_server",
        "conf.yml.j2",
        name=variables.name,
        data=path(DATA),
        client_url=client_url,
        peer_url=f"https://{address}:{PEER_PORT}",
        listen_client_urls=listen,
        initial_cluster=_initial_cluster(variables, address),
        token=cluster.initial_token,
        state="new" if cluster.is_initializing else "existing",
        etcd=variables.etcd,
        # pgstead goes through it to set up users, and to replace members.
        gateway=variables.etcd.grpc_gateway_enabled
        or cluster.initial_token in context.etcd_managed,
        tls={
            "ca": path(f"{TLS}/ca.crt"),
            "certificate": path(f"{TLS}/server.crt"),
            "key": path(f"{TLS}/server.key"),
        },
        bootstrap_only=BOOTSTRAP_ONLY,
    )


def _initial_cluster(variables: EtcdServer, address: str) -> str:
    members = {member.name: member.ip for member in variables.cluster.initial_members}
    members[variables.name] = address
    return ",".join(f"{name}=https://{ip}:{PEER_PORT}" for name, ip in members.items())


def _membership(variables: EtcdServer, context: Context, address: str, pair: KeyPair) -> EtcdMember:
    if variables.ca is None:
        tls = TlsClient(ca=pair.ca, certificate=pair.certificate, key=pair.key)
    else:
        tls = operator(context, variables)
    return EtcdMember(
        cluster=variables.cluster.initial_token,
        name=variables.name,
        address=address,
        operator=tls,
        client_port=CLIENT_PORT,
        peer_port=PEER_PORT,
        access=_access(variables, context),
    )


def _access(variables: EtcdServer, context: Context) -> EtcdAccess | None:
    given = variables.authentication_bootstrap
    if not given.bootstrap:
        return None
    password = reveal(given.root_password) or None
    own = None if password else context.materials.password(f"{context.module}/operator")
    return EtcdAccess(
        root_password=password,
        operator_password=own,
        users=tuple(
            EtcdUser(
                user.name,
                reveal(user.password),
                user.prefixes,
                user.read_prefixes,
                user.write_keys,
            )
            for user in given.users
        ),
    )

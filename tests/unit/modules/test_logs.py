"""Logs by fluentd and fluent-bit: what they are told is well formed, and says what is meant."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pgstead.errors import SpecError
from pgstead.machine import File, Machine, OnChange
from pgstead.modules.parts.fluentbit import plain
from pgstead.modules.parts.fluentd import quoted
from support.log_syntax import Malformed, Section, fluentbit, fluentd

Tree = dict[str, Any]
Make = Callable[..., Machine]

FORWARD = {
    "domain": "logs.local",
    "port": 4443,
    "hostname": "lb-1.local",
    "shared_key": "it's \\ made-up",
    "ca_cert": "<authority of logs>",
}
DEFAULTS = "/etc/fluent-bit-customization/default-config"


def _file(machine: Machine, path: str) -> File:
    (found,) = [one for one in machine.software.files if one.path == path]
    return found


def _paths(machine: Machine) -> set[str]:
    return {one.path for one in machine.software.files}


# -- the parsers themselves


@pytest.mark.parametrize(
    "text",
    [
        "<source>\n  @type a\n",
        "</source>\n",
        "<a>\n<b>\n</a>\n</b>\n",
        "<a>\n  key 'it's'\n</a>\n",
        '<a>\n  key "#{ENV}"\n</a>\n',
        "<a>\n  key 1\n  key 2\n</a>\n",
        "<a>\n  = 1\n</a>\n",
    ],
)
def test_the_reader_of_fluentds_refuses_what_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        fluentd(text)


@pytest.mark.parametrize("text", ["    Key value\n", "[INPUT]\nKey value\n", "[INPUT]\n    Key\n"])
def test_the_reader_of_fluent_bits_refuses_what_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        fluentbit(text)


# -- fluentd


@pytest.fixture
def logging_balancer(balancer: Tree) -> Tree:
    tags = {"load_balancer_tag": "lb", "node_exporter_tag": "exporter"}
    return {**balancer, "fluentd": {"enabled": True, **tags, "forward": FORWARD}}


def _fluentd(machine: Machine) -> Section:
    return fluentd(_file(machine, "/etc/fluentd/fluent.conf").content)


def test_fluentd_forwards_both_logs_by_tls(make: Make, logging_balancer: Tree) -> None:
    machine = make(logging_balancer, platform="memory")
    conf = _fluentd(machine)
    sources = [one for one in conf.inner if one.name == "source"]
    assert [one.values["tag"] for one in sources] == ["lb", "exporter"]
    assert "haproxy.service" in sources[0].values["matches"]
    assert "prometheus-node-exporter.service" in sources[1].values["matches"]
    match = conf.only("match")
    assert (match.argument, match.values["@type"], match.values["transport"]) == (
        "**",
        "forward",
        "tls",
    )
    assert match.values["tls_cert_path"] == "@{path:/etc/fluentd/forward-ca.crt}"
    assert match.only("security").values == {
        "self_hostname": "lb-1.local",
        "shared_key": FORWARD["shared_key"],
    }
    assert match.only("server").values == {"host": "logs.local", "port": "4443"}
    assert match.only("buffer").values["@type"] == "file"
    assert _file(machine, "/etc/fluentd/forward-ca.crt").content == "<authority of logs>\n"


def test_the_shared_key_is_for_root_alone(make: Make, logging_balancer: Tree) -> None:
    machine = make(logging_balancer, platform="memory")
    file = _file(machine, "/etc/fluentd/fluent.conf")
    assert (file.secret, file.mode) == (True, 0o600)
    assert "made-up" not in repr(machine)
    (service,) = [one for one in machine.software.services if one.name == "fluentd"]
    assert service.guest_only


def test_a_buffer_of_ones_own_replaces_the_modules(make: Make, logging_balancer: Tree) -> None:
    value = "<buffer time>\n  @type memory\n  timekey 60\n</buffer>"
    logging_balancer["fluentd"]["buffer"] = {"customized": True, "custom_value": value}
    (buffer,) = _fluentd(make(logging_balancer, platform="memory")).only("match").inner[2:]
    assert (buffer.argument, buffer.values) == ("time", {"@type": "memory", "timekey": "60"})
    logging_balancer["fluentd"]["buffer"]["customized"] = False
    unused = _fluentd(make(logging_balancer, platform="memory")).only("match").only("buffer")
    assert unused.values["@type"] == "file"


@pytest.mark.parametrize(
    "value",
    [
        "@type memory",
        "<buffer>\n",
        "<buffer>\n</buffer>\n<match **>\n  @type stdout\n</match>\n<buffer>\n</buffer>",
        "<buffer>\n</buffer>\n</match>\n<match>\n<buffer>\n</buffer>",
        "<buffer>\n<a>\n</b>\n</buffer>",
    ],
)
def test_a_buffer_is_one_section(value: str, make: Make, logging_balancer: Tree) -> None:
    logging_balancer["fluentd"]["buffer"] = {"customized": True, "custom_value": value}
    with pytest.raises(SpecError, match="custom_value: must be one section"):
        make(logging_balancer, platform="memory")


@pytest.mark.parametrize("key", ["domain", "port", "shared_key", "ca_cert"])
def test_fluentd_needs_to_know_where_to(key: str, make: Make, logging_balancer: Tree) -> None:
    forward = {**FORWARD, key: 0 if key == "port" else ""}
    logging_balancer["fluentd"]["forward"] = forward
    with pytest.raises(SpecError, match=rf"fluentd\.forward\.{key}: is required"):
        make(logging_balancer, platform="memory")
    logging_balancer["fluentd"]["enabled"] = False
    assert "/etc/fluentd/fluent.conf" not in _paths(make(logging_balancer, platform="memory"))


def test_where_a_kernel_is_shared_logs_are_not_forwarded(
    make: Make, logging_balancer: Tree
) -> None:
    machine = make(logging_balancer)
    assert "/etc/fluentd/fluent.conf" not in _paths(machine)
    assert any("fluentd has no effect" in warning for warning in machine.warnings)


def test_an_image_holds_fluentd_already(make: Make, logging_balancer: Tree) -> None:
    tree = {**logging_balancer, "install_dependencies": False}
    software = make(tree, platform="memory").software
    assert (software.packages, software.setup) == ((), ())
    assert "fluentd" in {one.name for one in software.services}


def test_quoting_for_fluentd() -> None:
    for text in ("", "a b", "it's", "\\", "#{exit}", '"'):
        assert fluentd(f"<a>\n  key {quoted(text)}\n</a>").only("a").values["key"] == text
    with pytest.raises(ValueError, match="control character"):
        quoted("a\nb")


# -- fluent-bit


def _logging(tree: Tree, **more: Any) -> Tree:
    forward = {**FORWARD, "shared_key": "made-up"}
    return {**tree, "fluentbit": {"enabled": True, "forward": forward, **more}}


def _conf(machine: Machine, part: str) -> Section:
    return fluentbit(_file(machine, f"{DEFAULTS}/fluent-bit-{part}.conf").content)


def test_fluent_bit_forwards_etcds_logs(make: Make, etcd: Tree) -> None:
    tree = _logging(etcd, etcd_tag="store", node_exporter_tag="exporter")
    machine = make(tree, platform="memory")
    inputs = _conf(machine, "inputs").inner
    assert [(one.values["Tag"], one.values["Systemd_Filter"]) for one in inputs] == [
        ("store", "_SYSTEMD_UNIT=etcd.service"),
        ("exporter", "_SYSTEMD_UNIT=prometheus-node-exporter.service"),
    ]
    output = _conf(machine, "output").only("OUTPUT").values
    assert (output["Host"], output["Port"], output["Self_Hostname"]) == (
        "logs.local",
        "4443",
        "lb-1.local",
    )
    assert (output["Shared_Key"], output["tls"], output["tls.verify"]) == ("made-up", "on", "on")
    assert output["tls.ca_file"] == f"@{{path:{DEFAULTS}/forward-ca.crt}}"
    assert _file(machine, f"{DEFAULTS}/forward-ca.crt").content == f"{FORWARD['ca_cert']}\n"
    assert _conf(machine, "service").only("SERVICE").values["HTTP_Server"] == "off"
    main = fluentbit(_file(machine, "/etc/fluent-bit/pgstead.conf").content)
    parts = ("service", "inputs", "output")
    assert list(main.values.values()) == [
        f"@{{path:{DEFAULTS}/fluent-bit-{part}.conf}}" for part in parts
    ]


def test_fluent_bit_forwards_patronis_logs_and_has_metrics(make: Make, patroni: Tree) -> None:
    metrics = {"enabled": True, "port": 2021}
    tree = _logging(patroni, patroni_tag="pg", node_exporter_tag="exporter", metrics=metrics)
    machine = make(tree, platform="memory")
    first, second = (one.values for one in _conf(machine, "inputs").inner)
    assert (second["Tag"], second["Systemd_Filter"]) == (
        "exporter",
        "_SYSTEMD_UNIT=prometheus-node-exporter.service",
    )
    assert (first["Tag"], first["Systemd_Filter"]) == ("pg", "_SYSTEMD_UNIT=patroni.service")
    service = _conf(machine, "service").only("SERVICE").values
    assert (service["HTTP_Server"], service["HTTP_Port"]) == ("on", "2021")


def test_fluent_bit_is_left_out_unless_enabled(make: Make, etcd: Tree, patroni: Tree) -> None:
    for tree in (etcd, patroni):
        machine = make(_logging(tree, enabled=False), platform="memory")
        assert not [path for path in _paths(machine) if "fluent-bit" in path]
        assert "fluent-bit" not in {one.name for one in machine.software.services}


def test_fluent_bit_takes_a_reload(make: Make, etcd: Tree) -> None:
    machine = make(_logging(etcd), platform="memory")
    files = [one for one in machine.software.files if one.path.startswith("/etc/fluent-bit")]
    assert {one.on_change for one in files} == {OnChange.RELOAD}
    output = _file(machine, f"{DEFAULTS}/fluent-bit-output.conf")
    assert (output.secret, output.mode) == (True, 0o600)
    (service,) = [one for one in machine.software.services if one.name == "fluent-bit"]
    assert (service.reload_signal, service.guest_only) == ("HUP", True)
    assert "--enable-hot-reload" in service.command


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"domain": ""}, r"fluentbit\.forward\.domain: is required"),
        ({"shared_key": "a$${HOME}"}, r"shared_key: must hold no"),
        ({"shared_key": " a"}, r"shared_key: must hold no"),
        ({"shared_key": "a\nb"}, r"shared_key: must be one line"),
        ({"hostname": "$${HOME}"}, r"hostname: must hold no"),
        ({"domain": "a b"}, r"domain"),
    ],
)
def test_what_fluent_bit_would_read_otherwise_is_refused(
    change: Tree, words: str, make: Make, etcd: Tree
) -> None:
    tree = _logging(etcd)
    tree["fluentbit"]["forward"] |= change
    with pytest.raises(SpecError, match=words):
        make(tree, platform="memory")


def test_values_of_fluent_bit_are_plain() -> None:
    assert plain("a b") == "a b"
    for text in (" a", "a\nb", "${a}"):
        with pytest.raises(ValueError, match="read as another"):
            plain(text)


# -- configuration from elsewhere

ETCD = {
    "key_prefix": "/fluent-bit/etcd-1/",
    "endpoints": ["10.9.0.1:2379"],
    "ca_certificate": "<authority of etcd>",
    "client": {"username": "logs", "password": "made-up"},
}
GIT = {
    "repo": "ssh://git@git.local/logs.git",
    "ref": "main",
    "path": "etcd-1",
    "trusted_gpg_keys": ["<a key>"],
    "auth": {
        "client_ssh_key": "<private key>",
        "client_ssh_user": "git",
        "server_ssh_fingerprint": "ssh-ed25519 AAAA",
    },
}


def _settings(machine: Machine) -> Any:

    return json.loads(_file(machine, "/etc/fluent-bit-customization/source/settings.json").content)


@pytest.mark.parametrize("new", [True, False])
def test_the_configuration_may_come_from_etcd(new: bool, make: Make, etcd: Tree) -> None:  # noqa: FBT001
    dynamic = {"enabled": True, "source": "etcd", "etcd": ETCD}
    old = {"etcd": {"enabled": True, **ETCD}}
    tree = {**_logging(etcd), "fluentbit_dynamic_config": dynamic} if new else _logging(etcd, **old)
    machine = make(tree, platform="memory")
    main = fluentbit(_file(machine, "/etc/fluent-bit/pgstead.conf").content)
    current = "/etc/fluent-bit-customization/dynamic-config"
    assert list(main.values.values()) == [f"@{{path:{current}/index.conf}}"]
    assert {f"{DEFAULTS}/fluent-bit-{part}.conf" for part in ("service", "inputs", "output")} < (
        _paths(machine)
    )
    settings = _settings(machine)
    assert settings["etcd"]["prefix"] == "/fluent-bit/etcd-1/"
    assert settings["etcd"]["user"] == "logs:made-up"
    assert settings["etcd"]["endpoints"] == ["10.9.0.1:2379"]
    trusted = settings["etcd"]["ca"].removeprefix("@{path:").removesuffix("}")
    assert _file(machine, trusted).content == "<authority of etcd>\n"
    (first,) = [one for one in machine.software.setup if one.name == "fluent-bit-configuration"]
    assert (first.argv[-1], first.creates) == ("--defaults", f"{current}/index.conf")
    names = [one.name for one in machine.software.services]
    assert names.index("fluent-bit-configuration") < names.index("fluent-bit")
    words = [word for one in machine.software.services for word in one.command]
    assert not any("made-up" in word for word in words)


def test_etcd_may_want_a_client_certificate(make: Make, patroni: Tree) -> None:
    client = {"certificate": "<client>", "key": "<key of client>"}
    dynamic = {"enabled": True, "etcd": {**ETCD, "client": client}}
    machine = make({**_logging(patroni), "fluentbit_dynamic_config": dynamic}, platform="memory")
    settings = _settings(machine)["etcd"]
    assert "user" not in settings
    place = "/etc/fluent-bit-customization/source/etcd-client.key"
    assert settings["key"] == f"@{{path:{place}}}"
    assert (_file(machine, place).secret, _file(machine, place).mode) == (True, 0o600)


def test_the_configuration_may_come_from_git(make: Make, patroni: Tree) -> None:
    dynamic = {"enabled": True, "source": "git", "git": GIT}
    machine = make({**_logging(patroni), "fluentbit_dynamic_config": dynamic}, platform="memory")
    git = _settings(machine)["git"]
    assert (git["repo"], git["ref"], git["path"]) == (GIT["repo"], "main", "etcd-1")
    assert (git["ssh_user"], git["host_key"]) == ("git", "ssh-ed25519 AAAA")
    source = "/etc/fluent-bit-customization/source"
    assert git["trusted_keys"] == [f"@{{path:{source}/trusted-1.asc}}"]
    assert _file(machine, f"{source}/client-ssh.key").mode == 0o600
    assert _file(machine, f"{source}/client-ssh.key").content == "<private key>\n"
    assert _file(machine, f"{source}/trusted-1.asc").content == "<a key>\n"
    assert {"git", "gpg", "openssh-client"} <= {one.name for one in machine.software.packages}


def test_a_configuration_from_elsewhere_needs_no_forwarding_of_its_own(
    make: Make, patroni: Tree
) -> None:
    dynamic = {"enabled": True, "etcd": ETCD}
    tree = {**patroni, "fluentbit": {"enabled": True}, "fluentbit_dynamic_config": dynamic}
    assert _conf(make(tree, platform="memory"), "output").inner == []


@pytest.mark.parametrize(
    ("dynamic", "words"),
    [
        ({"etcd": {**ETCD, "key_prefix": ""}}, r"etcd\.key_prefix: is required"),
        ({"etcd": {**ETCD, "endpoints": []}}, r"etcd\.endpoints: is required"),
        ({"etcd": {**ETCD, "endpoints": ["https://a:1"]}}, r"not of the form"),
        ({"etcd": {**ETCD, "ca_certificate": ""}}, r"etcd\.ca_certificate: is required"),
        ({"etcd": {**ETCD, "client": {"username": "a"}}}, r"client\.username and"),
        ({"etcd": {**ETCD, "client": {"certificate": "a"}}}, r"client\.certificate and"),
        ({"etcd": {**ETCD, "vault_agent_secret_path": "a/b"}}, r"needs a Vault agent"),
        ({"source": "git", "git": {**GIT, "repo": ""}}, r"git\.repo: is required"),
        ({"source": "git", "git": {**GIT, "ref": ""}}, r"git\.ref: is required"),
        ({"source": "git", "git": {**GIT, "ref": "--upload-pack=x"}}, r"git\.ref"),
        (
            {"source": "git", "git": {**GIT, "auth": {"client_ssh_key": "a"}}},
            r"server_ssh_fingerprint: is required",
        ),
        ({"source": "http"}, r"etcd or git"),
    ],
)
def test_what_could_not_be_fetched_is_refused(
    dynamic: Tree, words: str, make: Make, patroni: Tree
) -> None:
    tree = {**_logging(patroni), "fluentbit_dynamic_config": {"enabled": True, **dynamic}}
    with pytest.raises(SpecError, match=words):
        make(tree, platform="memory")


def test_a_configuration_has_one_source(make: Make, etcd: Tree) -> None:
    dynamic = {"enabled": True, "etcd": ETCD}
    both = {**_logging(etcd, etcd={"enabled": True, **ETCD}), "fluentbit_dynamic_config": dynamic}
    with pytest.raises(SpecError, match=r"one of fluentbit\.etcd and fluentbit_dynamic_config"):
        make(both, platform="memory")
    with pytest.raises(SpecError, match=r"needs fluentbit\.enabled"):
        make({**etcd, "fluentbit_dynamic_config": dynamic}, platform="memory")

"""Servers in containers, downloads, and the scripts that a guest runs."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgstead.errors import SpecError
from pgstead.machine import File, Machine, OnChange, replace_tokens
from pgstead.modules.parts.containers import qualified

Tree = dict[str, Any]
Make = Callable[..., Machine]

REGISTRY = {"url": "https://registry.local:5000/", "username": "me", "password": "made-up"}
SCRIPTS = "/usr/local/lib/pgstead"


def _file(machine: Machine, path: str) -> File:
    (found,) = [one for one in machine.software.files if one.path == path]
    return found


def _service(machine: Machine, name: str) -> tuple[str, ...]:
    (found,) = [one for one in machine.software.services if one.name == name]
    return found.command


@pytest.mark.parametrize(
    ("image", "registry", "found"),
    [
        ("postgres:12.9", None, "docker.io/library/postgres:12.9"),
        ("me/postgres", None, "docker.io/me/postgres"),
        ("quay.io/me/postgres:1", None, "quay.io/me/postgres:1"),
        ("localhost/a", "registry.local", "localhost/a"),
        ("haproxy:3.0", "registry.local:5000", "registry.local:5000/haproxy:3.0"),
        ("other:1/a", "registry.local", "other:1/a"),
    ],
)
def test_an_image_is_named_with_its_registry(image: str, registry: str | None, found: str) -> None:
    assert qualified(image, registry) == found


# -- PostgreSQL


@pytest.fixture
def contained(make: Make, server: Tree) -> Machine:
    params = "-c 'work_mem=4 MB' -c ssl_min_protocol_version=TLSv1.3"
    tree = {
        **server,
        "postgres_image": "postgres:12.9",
        "postgres_params": params,
        "postgres_user": "me",
        "postgres_database": "store",
        "postgres_password": "made-up $'",
    }
    tree["postgres_password"] = "made-up $1"
    return make(tree, platform="memory")


def test_parameters_are_words_of_the_containers_command(contained: Machine) -> None:
    command = _service(contained, "postgres")
    assert command[:4] == ("/bin/sh", f"@{{path:{SCRIPTS}/postgres-container}}", "run", "postgres")
    given = dict(word.split("=", 1) for word in command[4:] if word != "-c")
    assert given["work_mem"] == "4 MB"
    assert given["ssl_min_protocol_version"] == "TLSv1.3"
    assert given["listen_addresses"] == "10.0.0.1"
    assert given["ssl_key_file"] == "/etc/postgresql/tls/server.key"
    assert given["hba_file"] == "/etc/postgresql/pg_hba.conf"


def test_the_image_is_told_what_official_images_are(contained: Machine) -> None:
    file = _file(contained, "/etc/postgresql/container.env")
    values = dict(line.split("=", 1) for line in file.content.splitlines())
    assert values["POSTGRES_USER"] == "me"
    assert values["POSTGRES_PASSWORD"] == "made-up $1"
    assert values["POSTGRES_DB"] == "store"
    assert (file.mode, file.owner, file.secret) == (0o600, "root", True)
    assert file.on_change is OnChange.CREATE_ONLY
    script = _file(contained, f"{SCRIPTS}/postgres-container").content
    assert "PGDATA=/srv/postgresql/data" in script
    assert "made-up" not in script + repr(contained)
    assert "image=docker.io/library/postgres:12.9\n" in script


def test_the_data_folder_of_a_container_appears_whole(contained: Machine) -> None:
    steps = {one.name: one for one in contained.software.setup}
    assert list(steps) == ["pull", "initdb"]
    assert steps["initdb"].argv[-1] == "initialize"
    assert steps["initdb"].creates == "/var/lib/postgresql/data/PG_VERSION"
    script = _file(contained, f"{SCRIPTS}/postgres-container").content
    assert "mv -T \"$fresh\" '@{path:/var/lib/postgresql/data}'" in script


def test_a_container_reads_certificates_anew_and_restarts_for_another_image(
    contained: Machine,
) -> None:
    files = contained.software.files
    reloads = {one.path for one in files if one.on_change is OnChange.RELOAD}
    assert {"/etc/postgresql/tls/server.key", "/etc/postgresql/pg_hba.conf"} <= reloads
    script = _file(contained, f"{SCRIPTS}/postgres-container")
    assert (script.service, script.on_change) == ("postgres", OnChange.RESTART)
    (service,) = [one for one in contained.software.services if one.name == "postgres"]
    assert (service.user, service.stop_signal, service.reload_signal) == ("root", "INT", "HUP")


def test_what_is_left_of_a_container_is_ended_after_its_service(
    contained: Machine, make: Make, balancer: Tree
) -> None:
    proxy = make({**balancer, "haproxy_image": "haproxy:3.0"}, platform="memory")
    for machine, name in ((contained, "postgres"), (proxy, "haproxy")):
        (found,) = [one for one in machine.software.services if one.name == name]
        assert found.afterwards == (*found.command[:2], "end")
    package = make(balancer, platform="memory")
    assert not any(one.afterwards for one in package.software.services)


def test_podman_or_docker(make: Make, server: Tree) -> None:
    tree = {**server, "postgres_image": "postgres:16"}
    assert "podman" in {one.name for one in make(tree, platform="memory").software.packages}
    docker = make({**tree, "container_runtime": "docker"}, platform="memory")
    assert {"docker.io", "apparmor"} <= {one.name for one in docker.software.packages}
    script = _file(docker, f"{SCRIPTS}/postgres-container").content
    assert "systemctl start docker.service" in script
    assert "podman" not in script
    assert not make({**tree, "install_dependencies": False}, platform="memory").software.packages


def test_postgresql_may_come_from_a_registry_with_a_password(make: Make, server: Tree) -> None:
    tree = {**server, "postgres_image": "postgres:16", "container_registry": REGISTRY}
    machine = make(tree, platform="memory")
    script = _file(machine, f"{SCRIPTS}/postgres-container").content
    assert "image=registry.local:5000/postgres:16\n" in script
    assert "--authfile '@{path:/etc/pgstead-containers/config.json}'" in script
    assert "made-up" not in script
    plain = {**REGISTRY, "url": "http://registry.local:5000"}
    warned = make({**tree, "container_registry": plain}, platform="memory").warnings
    assert any("is not https" in warning for warning in warned)
    with pytest.raises(SpecError, match="docker pulls by https only"):
        make(
            {**tree, "container_registry": plain, "container_runtime": "docker"}, platform="memory"
        )


@pytest.mark.parametrize("password", ["a\nb", "'quoted'", ' "', " a"])
def test_a_password_that_a_file_of_variables_cannot_hold(
    password: str, make: Make, server: Tree
) -> None:
    tree = {**server, "postgres_password": password}
    with pytest.raises(SpecError, match="postgres_password: must be one line"):
        make({**tree, "postgres_image": "postgres:16"}, platform="memory")
    make(tree, platform="memory")


def test_an_image_is_one_word(make: Make, server: Tree) -> None:
    with pytest.raises(SpecError, match="must be an image"):
        make({**server, "postgres_image": "postgres --privileged"}, platform="memory")


# -- HAProxy


def test_haproxy_is_a_package_unless_an_image_is_named(make: Make, balancer: Tree) -> None:
    machine = make(balancer, platform="memory")
    assert _service(machine, "haproxy")[0] == "@{bin:haproxy}"
    assert "haproxy" in {one.name for one in machine.software.packages}


def test_haproxy_comes_from_a_registry_with_a_password(make: Make, balancer: Tree) -> None:
    machine = make({**balancer, "container_registry": REGISTRY}, platform="memory")
    command = _service(machine, "haproxy")
    assert command[:5] == (
        "/bin/sh",
        f"@{{path:{SCRIPTS}/haproxy-container}}",
        "run",
        "haproxy",
        "-W",
    )
    script = _file(machine, f"{SCRIPTS}/haproxy-container").content
    assert "image=registry.local:5000/haproxy:3.0\n" in script
    assert "--authfile '@{path:/etc/pgstead-containers/config.json}'" in script
    file = _file(machine, "/etc/pgstead-containers/config.json")
    (login,) = json.loads(file.content)["auths"].items()
    assert login[0] == "registry.local:5000"
    assert base64.b64decode(login[1]["auth"]) == b"me:made-up"
    assert (file.mode, file.secret) == (0o600, True)
    assert "made-up" not in script + repr(machine)
    own = {**balancer, "container_registry": REGISTRY, "haproxy_image": "proxy/haproxy:2.9"}
    script = _file(make(own, platform="memory"), f"{SCRIPTS}/haproxy-container").content
    assert "image=registry.local:5000/proxy/haproxy:2.9\n" in script


def test_haproxy_may_come_from_anywhere_without_a_password(make: Make, balancer: Tree) -> None:
    empty = {"url": "", "username": "", "password": ""}
    tree = {**balancer, "haproxy_image": "haproxy:2.8", "container_registry": empty}
    machine = make(tree, platform="memory")
    script = _file(machine, f"{SCRIPTS}/haproxy-container").content
    assert "image=docker.io/library/haproxy:2.8\n" in script
    assert "authfile" not in script


def test_docker_reads_the_same_credentials(make: Make, balancer: Tree) -> None:
    tree = {**balancer, "container_registry": REGISTRY, "container_runtime": "docker"}
    script = _file(make(tree, platform="memory"), f"{SCRIPTS}/haproxy-container").content
    assert "docker --config '@{path:/etc/pgstead-containers}' pull" in script


def test_a_container_is_started_by_root_whose_storage_has_the_image(
    make: Make, balancer: Tree
) -> None:
    """By a service of the unprivileged user, it would run as that user's own, without the image."""
    users = {
        image: make({**balancer, "haproxy_image": image}, platform="memory")
        .software.services[0]
        .user
        for image in ("", "haproxy:3.0")
    }
    assert users == {"": "haproxy", "haproxy:3.0": "root"}


@pytest.mark.parametrize(
    ("runtime", "folder"), [("podman", "/etc/containers"), ("docker", "/etc/docker")]
)
def test_a_registry_may_have_an_authority_of_its_own(
    runtime: str, folder: str, make: Make, balancer: Tree
) -> None:
    registry = {**REGISTRY, "ca_certificate": "the certificate"}
    tree = {**balancer, "container_registry": registry, "container_runtime": runtime}
    file = _file(make(tree, platform="memory"), f"{folder}/certs.d/registry.local:5000/ca.crt")
    assert (file.content, file.mode, file.on_change) == (
        "the certificate\n",
        0o644,
        OnChange.RELOAD,
    )


def test_a_registry_without_tls_is_told(make: Make, balancer: Tree) -> None:
    plain = {**REGISTRY, "url": "http://registry.local:5000"}
    machine = make({**balancer, "container_registry": plain}, platform="memory")
    assert any("is not https" in warning for warning in machine.warnings)
    assert "--tls-verify=false" in _file(machine, f"{SCRIPTS}/haproxy-container").content
    tree = {**balancer, "container_registry": plain, "container_runtime": "docker"}
    with pytest.raises(SpecError, match="docker pulls by https only"):
        make(tree, platform="memory")


@pytest.mark.parametrize(
    ("registry", "words"),
    [
        ({**REGISTRY, "password": ""}, "both of username and password"),
        ({**REGISTRY, "url": ""}, "url: is required beside username"),
        ({"ca_certificate": "a"}, "url: is required beside ca_certificate"),
        ({**REGISTRY, "url": "registry.local"}, "url"),
        ({**REGISTRY, "username": "a:b"}, "username"),
    ],
)
def test_half_a_registry_is_refused(registry: Tree, words: str, make: Make, balancer: Tree) -> None:
    with pytest.raises(SpecError, match=words):
        make({**balancer, "container_registry": registry}, platform="memory")


# -- downloads


def test_etcd_may_be_pinned_by_its_checksum(make: Make, etcd: Tree) -> None:
    download = {"url": "https://mirror.local/etcd-v3.5.21.tar.gz", "sha256": "ab" * 32}
    software = make({**etcd, "etcd_download": download}, platform="memory").software
    (command,) = [one for one in software.setup if one.name == "download-etcd"]
    assert command.argv[2:4] == (download["url"], download["sha256"])
    assert command.argv[-2:] == ("etcd", "etcdctl")
    assert command.creates == "/opt/etcd/abababababab/etcd"
    assert software.services[0].command[0] == f"@{{path:{command.creates}}}"
    assert "etcd-server" not in {one.name for one in software.packages}
    image = make(
        {**etcd, "etcd_download": download, "install_dependencies": False}, platform="memory"
    )
    assert image.software.services[0].command[0] == "@{bin:etcd}"


@pytest.mark.parametrize("change", [{"sha256": "ab"}, {"url": "http://mirror.local/etcd.tar.gz"}])
def test_a_download_is_pinned_and_encrypted(change: Tree, make: Make, etcd: Tree) -> None:
    download = {"url": "https://mirror.local/etcd.tar.gz", "sha256": "ab" * 32, **change}
    with pytest.raises(SpecError, match=rf"etcd_download\.{next(iter(change))}"):
        make({**etcd, "etcd_download": download}, platform="memory")


def test_a_download_lays_down_all_programs_or_none(make: Make, etcd: Tree, tmp_path: Path) -> None:
    """The script itself, its curl replaced by one that copies."""
    download = {"url": "https://mirror.local/etcd.tar.gz", "sha256": "ab" * 32}
    machine = make({**etcd, "etcd_download": download}, platform="memory")
    script = tmp_path / "download"
    script.write_text(_file(machine, f"{SCRIPTS}/download").content)
    archive = _archive(tmp_path)
    _program(
        tmp_path / "bin" / "curl", f'while [ "$1" != --output ]; do shift; done; cp {archive} "$2"'
    )
    good = subprocess.run(["sha256sum", archive], capture_output=True, check=True, text=True)
    folder = tmp_path / "opt" / "etcd"
    folder.parent.mkdir()

    def fetch(sha256: str) -> int:
        words = ["/bin/sh", str(script), "https://a", sha256, str(folder), "etcd", "etcdctl"]
        path = f"{tmp_path}/bin:/usr/bin:/bin"
        return subprocess.run(
            words, env={"PATH": path}, capture_output=True, check=False
        ).returncode

    assert fetch("0" * 64) != 0
    assert list(folder.parent.iterdir()) == []
    assert fetch(good.stdout.split()[0]) == 0
    assert sorted(one.name for one in folder.iterdir()) == ["etcd", "etcdctl"]
    assert (folder / "etcd").stat().st_mode & 0o777 == 0o755
    assert [one.name for one in folder.parent.iterdir()] == ["etcd"]


def test_a_release_is_found_in_its_list(make: Make, etcd: Tree, tmp_path: Path) -> None:
    """The script itself: its curl gives the archive, or the list, by the URL's end."""
    machine = make({**etcd, "etcd_version": "v3.5.21"}, platform="memory")
    script = tmp_path / "download"
    script.write_text(_file(machine, f"{SCRIPTS}/download").content)
    archive, bin_folder = _archive(tmp_path), tmp_path / "bin"
    _program(bin_folder / "dpkg", "echo riscv64")
    _program(
        bin_folder / "curl",
        'while [ "$1" != --output ]; do shift; done\n'
        f'echo "$3" >> {tmp_path}/asked\n'
        f'case $3 in */SHA256SUMS) cp {tmp_path}/sums "$2" ;; *) cp {archive} "$2" ;; esac',
    )
    good = subprocess.run(["sha256sum", archive], capture_output=True, check=True, text=True)
    (command,) = [one for one in machine.software.setup if one.name == "download-etcd"]
    url, sums = command.argv[2:4]
    (tmp_path / "opt").mkdir()

    def fetch(listed: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "sums").write_text(f"{'0' * 64}  other.tar.gz\n{listed}\n")
        words = ["/bin/sh", str(script), url, sums, str(tmp_path / "opt" / "etcd"), "etcd"]
        path = {"PATH": f"{bin_folder}:/usr/bin:/bin"}
        return subprocess.run(words, env=path, capture_output=True, check=False, text=True)

    lacking = fetch("")
    assert lacking.returncode != 0
    assert "lacks etcd-v3.5.21-linux-riscv64.tar.gz" in lacking.stderr
    assert fetch(f"{'1' * 64}  etcd-v3.5.21-linux-riscv64.tar.gz").returncode != 0
    assert not list((tmp_path / "opt").iterdir())
    assert fetch(f"{good.stdout.split()[0]}  etcd-v3.5.21-linux-riscv64.tar.gz").returncode == 0
    assert (tmp_path / "opt" / "etcd" / "etcd").exists()
    release = "https://github.com/etcd-io/etcd/releases/download/v3.5.21"
    assert (tmp_path / "asked").read_text().split()[-2:] == [
        f"{release}/etcd-v3.5.21-linux-riscv64.tar.gz",
        f"{release}/SHA256SUMS",
    ]


def _archive(folder: Path) -> Path:
    inside = folder / "etcd-v3"
    inside.mkdir()
    for name in ("etcd", "etcdctl", "README"):
        (inside / name).write_text(name)
    archive = folder / "archive.tar.gz"
    subprocess.run(["tar", "-C", folder, "-czf", archive, "etcd-v3"], check=True)
    return archive


def _program(path: Path, body: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\nset -eu\n{body}\n")
    path.chmod(0o755)


# -- scripts


def _scripts(make: Make, trees: list[Tree]) -> dict[str, str]:
    found = {}
    for tree in trees:
        for file in make(tree, platform="memory").software.files:
            if file.content.startswith("#!/bin/sh"):
                runtime = tree.get("container_runtime", "")
                found[f"{file.path}{runtime}"] = replace_tokens(file.content, lambda _, name: name)
    return found


@pytest.fixture
def scripts(make: Make, etcd: Tree, patroni: Tree, balancer: Tree, server: Tree) -> dict[str, str]:
    """Every script there is."""
    forward = {"domain": "a", "shared_key": "b", "ca_cert": "c"}
    download = {"url": "https://a/b", "sha256": "ab" * 32}
    logs = {"enabled": True, "forward": forward}
    image = {**server, "postgres_image": "postgres:16"}
    registry = {**balancer, "container_registry": REGISTRY, "fluentd": logs}
    docker = {"container_runtime": "docker"}
    return _scripts(
        make,
        [
            {**etcd, "etcd_download": download, "fluentbit": logs},
            {**patroni, "package_source": "postgresql"},
            *(image, {**image, **docker}),
            *(registry, {**registry, **docker}),
        ],
    )


def test_scripts_are_shell(scripts: dict[str, str], tmp_path: Path) -> None:
    assert len(scripts) == 10
    for number, (name, text) in enumerate(scripts.items()):
        place = tmp_path / str(number)
        place.write_text(text)
        words = ["shellcheck", "--shell=sh"] if shutil.which("shellcheck") else ["sh", "-n"]
        found = subprocess.run([*words, place], capture_output=True, text=True, check=False)
        assert found.returncode == 0, f"{name}\n{found.stdout}{found.stderr}"
        assert "set -eu\n" in text
        assert "apt-key" not in text


def test_a_container_is_started_as_told(make: Make, server: Tree, tmp_path: Path) -> None:
    """The script itself, with a podman that writes down what it is asked for."""
    tree = {**server, "postgres_image": "postgres:16"}
    file = _file(make(tree, platform="memory"), f"{SCRIPTS}/postgres-container")
    script = tmp_path / "script"
    script.write_text(
        replace_tokens(file.content, lambda _, name: f"{tmp_path}{name}")
        .replace("id -u postgres", "echo 71")
        .replace("id -g postgres", "echo 72")
    )
    (tmp_path / "var/lib/pgstead").mkdir(parents=True)
    log = tmp_path / "log"
    _program(
        tmp_path / "bin" / "podman",
        f'echo "$*" >> {log}\nif [ "$1" = image ]; then exit 1; fi',
    )
    path = f"{tmp_path}/bin:/usr/bin:/bin"
    words = ["/bin/sh", str(script), "run", "postgres", "-c", "work_mem=4 MB"]
    subprocess.run(words, env={"PATH": path}, check=True)
    asked, pulled, stopped, removed, started = log.read_text().splitlines()
    image = "docker.io/library/postgres:16"
    assert (asked, pulled) == (f"image exists {image}", f"pull --quiet {image}")
    assert stopped == "stop --ignore --time 60 postgres"
    assert removed == "rm --force --ignore --volumes postgres"
    assert started.startswith("run --pull never --ipc host --user 71:72 ")
    assert f"--volume {tmp_path}/var/lib/postgresql:/srv/postgresql" in started
    assert started.endswith(
        f"--rm --name postgres --network host --log-driver none {image} postgres -c work_mem=4 MB"
    )


def test_a_first_start_that_fails_leaves_no_data_folder(
    make: Make, server: Tree, tmp_path: Path
) -> None:
    """The same with a container that ends at once, and with one that gets ready."""
    tree = {**server, "postgres_image": "postgres:16"}
    file = _file(make(tree, platform="memory"), f"{SCRIPTS}/postgres-container")
    script = tmp_path / "script"
    script.write_text(
        replace_tokens(file.content, lambda _, name: f"{tmp_path}{name}").replace(
            "-o postgres -g postgres", ""
        )
    )
    data = tmp_path / "var/lib/postgresql/data"
    data.mkdir(parents=True)

    def initialize(ready: str) -> subprocess.CompletedProcess[str]:
        answers = f'case "$1" in exec) {ready};; inspect) echo false;; logs) echo broken;; esac'
        _program(tmp_path / "bin" / "podman", answers)
        _program(tmp_path / "bin" / "id", "echo 71")
        words = ["/bin/sh", str(script), "initialize"]
        path = f"{tmp_path}/bin:/usr/bin:/bin"
        return subprocess.run(
            words, env={"PATH": path}, capture_output=True, text=True, check=False
        )

    failed = initialize("exit 2")
    assert failed.returncode == 1
    assert "broken\nPostgreSQL of docker.io/library/postgres:16 did not start" in failed.stderr
    before = data.stat().st_ino
    assert initialize("exit 0").returncode == 0
    assert data.stat().st_ino != before
    assert [one.name for one in data.parent.iterdir()] == ["data"]

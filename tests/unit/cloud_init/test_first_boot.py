"""What cloud-init is told: valid by its own schema, and the same for the same machine."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgstead.errors import PlatformError
from pgstead.machine import Admin, Nic, Service
from pgstead.platforms.cloud_init import Access, FirstBoot, conventional, first_boot, unit
from pgstead.platforms.cloud_init.places import POSTGRESQL
from pgstead.platforms.cloud_init.script import SCRIPT
from pgstead.platforms.cloud_init.units import word
from support.machines import CONFIGURATION, DATA, SECRET, machine

ACCESS = Access(("ssh-ed25519 BBBB pgstead",), ("PRIVATE\nKEY\n", "ssh-ed25519 CCCC"), ("agent",))


def made(**guest: Any) -> FirstBoot:
    return first_boot(conventional(machine(**guest)), ACCESS, data_ids=("virtio-pgstead-data",))


def parts(first: FirstBoot) -> dict[str, str]:
    found = message_from_string(first.user_data).get_payload()
    assert isinstance(found, list)
    return {
        str(part.get_filename()): part.get_payload(decode=True).decode()  # type: ignore[union-attr]
        for part in found
    }


def files(first: FirstBoot) -> dict[str, Any]:
    loaded = [yaml.safe_load(text) for text in parts(first).values()]
    return {one["path"]: one for part in loaded for one in part.get("write_files", [])}


def test_the_same_machine_gives_the_same_texts() -> None:
    assert made().files == made().files


@pytest.mark.skipif(shutil.which("cloud-init") is None, reason="cloud-init is not installed")
@pytest.mark.parametrize(
    "guest", [{}, {"install": False, "data_disk": None}, {"admin": Admin("root", None, "pw")}]
)
def test_each_part_is_valid_by_cloud_inits_own_schema(
    tmp_path: Path, guest: dict[str, Any]
) -> None:
    for name, text in parts(made(**guest)).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        command = ["cloud-init", "schema", "--config-file", str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Valid" in done.stdout


def test_every_part_says_how_it_is_merged() -> None:
    for text in parts(made()).values():
        assert text.startswith("#cloud-config\n")
        assert [one["name"] for one in yaml.safe_load(text)["merge_how"]] == ["list", "dict"]


def test_packages_do_not_start_services_and_an_image_needs_none() -> None:
    config = yaml.safe_load(parts(made())["packages.yml"])
    assert config["packages"] == ["postgresql-15", ["thing", "1.2-3"], "agent"]
    assert files(made())["/usr/sbin/policy-rc.d"]["content"].endswith("exit 101\n")
    assert "packages.yml" not in parts(made(install=False))


def test_files_have_real_paths_and_no_owner_before_there_are_users() -> None:
    found = files(made())
    assert "programs: /usr/lib/postgresql/15/bin" in found[CONFIGURATION]["content"]
    assert found[SECRET]["permissions"] == "0600"
    assert all("owner" not in one for one in found.values())
    assert f"chown thing: {SECRET}" in found[SCRIPT]["content"]


@pytest.mark.parametrize(
    ("made_with", "linked"), [(None, "16"), ("15\n", "15"), ("14\n", None), ("", "16")]
)
def test_data_of_an_earlier_machine_gets_the_programs_that_made_it(
    tmp_path: Path, made_with: str | None, linked: str | None
) -> None:
    first = first_boot(conventional(replace(machine(), postgresql=None)), ACCESS)
    script = str(files(first)[SCRIPT]["content"])
    begin, end = script.index('made=""'), script.index("rm -f /usr/sbin/policy-rc.d")
    steps = script[begin:end].partition("begin 'make a cluster'")
    ends = steps[2].partition('begin "services"')
    text = f"set -eu\nsay() {{ echo $*; }}\n{steps[0]}\n{ends[2]}"
    data = tmp_path / "data"
    text = text.replace(POSTGRESQL, f"{tmp_path}/link").replace(DATA, str(data))
    text = text.replace("/usr/lib/postgresql", str(tmp_path))
    for folder in (data, tmp_path / "15/bin", tmp_path / "16/bin"):
        folder.mkdir(parents=True)
    if made_with is not None:
        (data / "PG_VERSION").write_text(made_with)
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is (linked is not None), done
    if linked is None:
        assert "PostgreSQL 14, which is not installed (postgresql-14)" in done.stdout
    else:
        assert (tmp_path / "link").readlink() == tmp_path / linked / "bin"


def test_bindings_replace_what_matters_at_bootstrap() -> None:
    first = first_boot(conventional(machine()), ACCESS, bindings={"state": "existing"})
    assert "state: existing  # bootstrap only" in files(first)[CONFIGURATION]["content"]


def test_the_admin_logs_in_by_keys_and_by_password_on_the_console_alone() -> None:
    config = yaml.safe_load(parts(made(admin=Admin("ops", "ssh-rsa A", "hunter2")))["access.yml"])
    (user,) = config["users"]
    assert user["ssh_authorized_keys"] == ["ssh-rsa A", "ssh-ed25519 BBBB pgstead"]
    assert user["plain_text_passwd"] == "hunter2"
    assert config["ssh_pwauth"] is False
    assert config["ssh_keys"]["ed25519_public"] == "ssh-ed25519 CCCC"


def test_the_network_is_static_and_found_by_mac_or_by_name() -> None:
    nics = (
        Nic("10.0.0.5", 24, mac="52:54:00:00:00:01", gateway="10.0.0.1", dns_servers=("1.1.1.1",)),
        Nic("10.1.0.5", 16, match="en*"),
    )
    real = conventional(machine())
    first = first_boot(replace(real, guest=replace(real.guest, nics=nics)), ACCESS)
    network = yaml.safe_load(first.network_config)
    assert network["version"] == 2
    assert network["ethernets"]["nic0"] == {
        "match": {"macaddress": "52:54:00:00:00:01"},
        "addresses": ["10.0.0.5/24"],
        "dhcp4": False,
        "dhcp6": False,
        "accept-ra": False,
        "routes": [{"to": "default", "via": "10.0.0.1"}],
        "nameservers": {"addresses": ["1.1.1.1"]},
    }
    assert network["ethernets"]["nic1"]["match"] == {"name": "en*"}
    broken = replace(real, guest=replace(real.guest, nics=(Nic("10.0.0.5"),)))
    with pytest.raises(PlatformError, match=r"prefix length of the interface with 10\.0\.0\.5"):
        first_boot(broken, ACCESS)


def test_the_script_is_a_script_and_formats_only_what_is_empty() -> None:
    text = files(made())[SCRIPT]["content"]
    done = subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert text.index("blkid -p") < text.index("mkfs.ext4")
    assert "mkfs" not in files(made(data_disk=None))[SCRIPT]["content"]


def test_a_unit_starts_after_network_and_disk_and_again_whenever_it_ends() -> None:
    real = conventional(machine())
    text = unit(real.software.services[0], real.software.directories, "/var/lib/thing")
    assert "RequiresMountsFor=/var/lib/thing/data /var/lib/thing\n" in text
    assert 'ExecStart=thing --config /etc/thing/thing.conf "with \\"quotes\\" and 100%%"' in text
    for line in ("Restart=always", "After=network-online.target", "WantedBy=multi-user.target"):
        assert line in text
    assert 'Environment="WORDS=a $b"' in text


def test_what_a_service_started_outlives_it_only_where_it_is_found_again() -> None:
    plain = Service("thing", ("thing",))
    assert "KillMode=mixed\n" in unit(plain)
    assert "KillMode=process\n" in unit(replace(plain, spares_children=True))
    assert "ExecStopPost" not in unit(plain)
    assert 'ExecStopPost=tidy "the rest"\n' in unit(replace(plain, afterwards=("tidy", "the rest")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("plain", "plain"), ("", '""'), ("a b", '"a b"'), ("100%", "100%%"), ("$x", "$$x")],
)
def test_words_of_a_command_line(text: str, expected: str) -> None:
    assert word(text) == expected

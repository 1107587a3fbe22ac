from __future__ import annotations

from dataclasses import replace

from pgstead.machine import Directory, File, Machine, OnChange, Service, Software
from pgstead.membership import EtcdMember, TlsClient
from pgstead.platforms.software import Actions, actions, attributes, plain_digest

SOFTWARE = Software(
    directories=(Directory("/data", data=True), Directory("/etc/app", mode=0o755)),
    files=(
        File("/etc/app/conf", "a: 1\nstate: new  # bootstrap only\n", service="app"),
        File("/etc/app/key", "secret", secret=True, on_change=OnChange.RELOAD, service="app"),
        File("/etc/app/certificate", "text", on_change=OnChange.RELOAD),
        File("/etc/app/first", "once", on_change=OnChange.CREATE_ONLY),
    ),
    services=(Service("app", ("app",)), Service("other", ("other",))),
)


def machine(software: Software = SOFTWARE) -> Machine:
    return Machine(
        "m", "m", "127.2.3.4", software, EtcdMember("c", "m", "127.2.3.4", TlsClient("", "", ""))
    )


def test_every_part_of_the_software_has_its_keys() -> None:
    found = attributes(machine(), lambda text: f"keyed {text}")
    assert set(found) == {
        "directory:/data",
        "directory:/etc/app",
        "mode:/etc/app",
        "file:/etc/app/conf",
        "mode:/etc/app/conf",
        "file:/etc/app/key",
        "mode:/etc/app/key",
        "file:/etc/app/certificate",
        "mode:/etc/app/certificate",
        "service:app",
        "running:app",
        "service:other",
        "running:other",
    }
    assert found["file:/etc/app/conf"].value == plain_digest("a: 1\n")
    assert found["file:/etc/app/conf"].label == "file /etc/app/conf"
    assert found["file:/etc/app/key"].value == "keyed secret"
    assert found["mode:/etc/app"].value == "0755"
    assert all(one.hidden == key.startswith(("file:", "service:")) for key, one in found.items())


def test_bootstrap_only_lines_change_no_digest() -> None:
    other = replace(SOFTWARE.files[0], content="a: 1\nstate: existing  # bootstrap only\n")
    changed = replace(SOFTWARE, files=(other, *SOFTWARE.files[1:]))
    assert (
        attributes(machine(changed), str)["file:/etc/app/conf"]
        == (attributes(machine(), str)["file:/etc/app/conf"])
    )


def test_a_change_of_command_or_environment_changes_the_services_digest() -> None:
    base = attributes(machine(), str)["service:app"].value
    for service in (
        Service("app", ("app", "-v")),
        Service("app", ("app",), environment={"A": "1"}),
    ):
        changed = replace(SOFTWARE, services=(service,))
        assert attributes(machine(changed), str)["service:app"].value != base


def test_the_strongest_effect_on_a_service_counts() -> None:
    reload = {"file:/etc/app/key": OnChange.RELOAD}
    assert actions(SOFTWARE, reload) == Actions(push=("/etc/app/key",), reload=("app",))
    both = {**reload, "file:/etc/app/conf": OnChange.RESTART}
    assert actions(SOFTWARE, both) == Actions(
        push=("/etc/app/conf", "/etc/app/key"), restart=("app",)
    )


def test_a_file_that_no_service_reads_is_just_pushed() -> None:
    changed = {"file:/etc/app/certificate": OnChange.RELOAD}
    assert actions(SOFTWARE, changed) == Actions(push=("/etc/app/certificate",))


def test_permissions_are_put_right_without_a_reload() -> None:
    changed = {"mode:/etc/app/key": OnChange.RELOAD}
    assert actions(SOFTWARE, changed) == Actions(push=("/etc/app/key",))


def test_a_service_that_is_stopped_is_started_whatever_changed() -> None:
    changed = {"running:app": OnChange.RESTART, "file:/etc/app/conf": OnChange.RESTART}
    assert actions(SOFTWARE, changed, frozenset({"app"})) == Actions(
        push=("/etc/app/conf",), start=("app",)
    )


def test_what_is_wanted_no_more_is_removed() -> None:
    changed = {
        "file:/etc/old": OnChange.RELOAD,
        "service:gone": OnChange.RELOAD,
        "running:gone": OnChange.RELOAD,
    }
    assert actions(SOFTWARE, changed) == Actions(remove=("/etc/old",), retire=("gone",))

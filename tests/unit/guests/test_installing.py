"""Packages and setup commands of a machine: wanted, seen, and brought to one that runs."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pgstead.engine.compare import make_plan
from pgstead.engine.plan import Action
from pgstead.engine.resource import Attribute, Present, Recorded, Resource
from pgstead.machine import Command, Machine, OnChange, Package, Service, Software
from pgstead.platforms.cloud_init.first_boot import apt_version
from pgstead.platforms.guests import inside, installing
from pgstead.platforms.software import actions, installed, is_version
from pgstead.reach.base import Finished
from support.machines import DATA, machine


class Here:
    """A way into this machine."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, ...]] = []

    def run(self, argv: Sequence[str], *, timeout: float = 60.0) -> Finished:
        self.ran.append(tuple(argv))
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
        return Finished(done.returncode, done.stdout, done.stderr)


def with_software(**changes: Any) -> Machine:
    wanted = machine()
    return replace(wanted, software=replace(wanted.software, **changes))


def test_packages_and_setup_are_compared() -> None:
    commands = (
        Command("data", ("initdb",), f"{DATA}/VERSION"),
        Command("venv", ("venv",), "/opt/thing/2/bin/thing"),
        Command("repository", ("apt",), "/var/lib/pgstead/thing-2", service="thing"),
    )
    packages = (Package("thing", "1.2", service="thing"), Package("other", "1"), Package("curl"))
    found = installed(with_software(packages=packages, setup=commands))
    assert {key: (one.value, one.on_change) for key, one in found.items()} == {
        "package:thing": ("1.2", OnChange.RESTART),
        "package:other": ("1", OnChange.RELOAD),
        "package:curl": ("present", OnChange.RELOAD),
        "setup:/opt/thing/2/bin/thing": ("present", OnChange.RELOAD),
        "setup:/var/lib/pgstead/thing-2": ("present", OnChange.RESTART),
    }, "what makes data is never run again"


def test_an_image_that_holds_everything_is_taken_as_it_is() -> None:
    wanted = machine(install=False)
    assert not any(key.startswith("package:") for key in installed(wanted))


def test_a_service_is_restarted_for_another_version_of_its_package() -> None:
    wanted = Software(
        packages=(Package("thing", "2", service="thing"), Package("curl")),
        setup=(Command("repository", ("apt",), "/done", service="thing"),),
        services=(Service("thing", ("thing",)),),
    )
    new = actions(wanted, {"package:thing": OnChange.RESTART})
    assert (new.restart, [one.name for one in new.install]) == (("thing",), ["thing"])
    assert actions(wanted, {"package:curl": OnChange.RELOAD}).restart == ()
    made = actions(wanted, {"setup:/done": OnChange.RESTART})
    assert (made.restart, [one.name for one in made.setup]) == (("thing",), ["repository"])


@pytest.mark.parametrize(
    ("there", "wanted", "is_it"),
    [
        ("4.0.5", "4.0.5", True),
        ("4.0.5-1.pgdg120+1", "4.0.5", True),
        ("1:4.0.5-1", "4.0.5", True),
        ("1:4.0.5-1", "1:4.0.5-1", True),
        ("4.0.50-1", "4.0.5", False),
        ("4.0.5.1-1", "4.0.5", False),
        ("4.0.6-1", "4.0.5", False),
        ("1.2-3", "1.2-3", True),
        ("1.2-30", "1.2-3", False),
    ],
)
def test_a_version_without_a_revision_takes_any(there: str, wanted: str, *, is_it: bool) -> None:
    assert is_version(there, wanted) is is_it


def test_apt_is_asked_for_a_version_as_the_first_boot_asks() -> None:
    assert apt_version("4.0.5") == "4.0.5*"
    assert apt_version("1.2-3") == "1.2-3"


@pytest.mark.skipif(not Path("/usr/bin/dpkg-query").exists(), reason="no dpkg here")
def test_a_machine_says_what_it_has(tmp_path: Path) -> None:
    there = tmp_path / "made"
    there.touch()
    keys = [
        "package:dpkg",
        "package:awk",
        "package:no-such-thing",
        f"setup:{there}",
        f"setup:{tmp_path}/never",
    ]
    wanted = Resource(
        "machine.x",
        "machine",
        {
            **{key: Attribute("present", OnChange.RELOAD, key) for key in keys},
            "package:dpkg": Attribute("0.1", OnChange.RESTART, "dpkg"),
        },
    )
    found = inside.values(Here(), wanted, keys, str)  # type: ignore[arg-type]
    assert found.keys() == {"package:dpkg", "package:awk", f"setup:{there}"}
    assert found["package:awk"] == "present", "provided by another"
    assert str(found["package:dpkg"]).startswith("1."), "another version is named"


def test_a_setup_command_runs_as_its_user(open_folder: Path) -> None:
    class Guest:
        def run(self, argv: Sequence[str], *, timeout: float) -> None:
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr

    if subprocess.run(["id", "-u"], capture_output=True, check=True).stdout != b"0\n":
        pytest.skip("needs root")
    open_folder.chmod(0o777)
    out = open_folder / "out"
    words = ("sh", "-c", 'echo "$(id -un) $(pwd) $1" > "$0"', str(out), "a b")
    installing.set_up(Guest(), [Command("say", words, str(out), "nobody")])  # type: ignore[arg-type]
    assert out.read_text() == "nobody / a b\n"


def test_another_version_is_brought_to_one_member_at_a_time() -> None:
    wanted = with_software(packages=(Package("thing", "2", service="thing"),), setup=())
    attributes = installed(wanted)
    resource = Resource("machine.x", "machine", attributes)
    known = {"machine.x": Recorded("machine.x", "machine", {"package:thing": "1"})}
    seen = {"machine.x": Present({"package:thing": "1-3"})}
    (change,) = make_plan([resource], known, seen).changes
    assert change.action is Action.UPDATE
    assert change.exclusive, "a restart, gated on the health of all others"
    (difference,) = change.differences
    assert (difference.label, difference.before, difference.after) == ("package thing", "1-3", "2")

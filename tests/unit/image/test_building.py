from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pgstead.errors import CommandFailed, MissingSoftware, PlatformError, SpecError
from pgstead.image import build, cache, root, tools
from pgstead.image.build import Built
from pgstead.image.lock import Lock
from pgstead.image.overlay import Entry, after, before, write_tar
from pgstead.image.recipe import Recipe, Source, recipe
from pgstead.image.root import Work, arguments, environment, hooks, installed
from pgstead.image.wheels import built_here, downloaded, requirements
from pgstead.operations.image import build_image

RECIPE = recipe("bookworm", (Source("http://deb.debian.org/debian", "bookworm", "main"),))
LOCK = Lock("bookworm", 4, 7, ("haproxy",), {"haproxy": "2.6"}, {"patroni": "4.1.5", "ydiff": "1"})


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path, 1_700_000_000, tmp_path / "image.log")


def silent(step: str) -> None:
    pass


def test_mmdebstrap_is_told_everything_by_words(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root, "program", lambda name: f"/usr/bin/{name}")
    words = arguments(RECIPE, work)
    assert "/usr/bin/mmdebstrap" in words
    assert ("/usr/bin/unshare" in words) == (os.geteuid() == 0)
    assert words[-3:] == [
        "bookworm",
        str(work.root),
        "deb http://deb.debian.org/debian bookworm main",
    ]
    assert f"--include={','.join(RECIPE.wanted)}" in words


@pytest.mark.parametrize("place", ["plain", "with a space", "it's"])
def test_hooks_are_sound_shell_wherever_they_work(tmp_path: Path, place: str) -> None:
    folder = tmp_path / place
    for hook in hooks(RECIPE, Work(folder, 1, tmp_path / "log")):
        if not hook.startswith(("copy-in", "tar-in", "download")):
            subprocess.run(["/bin/sh", "-n", "-c", hook], check=True)


def test_secrets_of_the_environment_stay_outside(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "geheim")
    monkeypatch.setenv("http_proxy", "http://proxy.example.org:3128")
    given = environment(work)
    assert "SOME_TOKEN" not in given
    assert given["http_proxy"] == "http://proxy.example.org:3128"
    assert given["SOURCE_DATE_EPOCH"] == "1700000000"


def test_pins_are_there_only_with_a_lock() -> None:
    paths = {entry.path for entry in before(RECIPE)}
    assert "etc/apt/preferences.d/pgstead-lock" not in paths
    locked = {entry.path: entry.text for entry in before(replace(RECIPE, lock=LOCK))}
    assert "Pin: version 2.6\n" in locked["etc/apt/preferences.d/pgstead-lock"]


def test_the_settings_of_cloud_init_are_yaml_and_end_no_boot_in_error() -> None:
    texts = {entry.path: entry.text for entry in after()}
    settings = yaml.safe_load(texts["etc/cloud/cloud.cfg.d/90_pgstead.cfg"])
    assert settings["datasource_list"][0] == "NoCloud"
    assert settings["locale"] == "C.UTF-8"
    assert settings["ssh_genkeytypes"] == ["ed25519"]
    assert "runcmd" in settings["cloud_config_modules"]
    assert texts["etc/machine-id"] == ""


def test_a_tar_depends_on_its_entries_alone(tmp_path: Path) -> None:
    entries = [Entry("etc/a", "text\n", 0o600), Entry("usr/b", link="/opt/b")]
    for name in ("one.tar", "two.tar"):
        write_tar(tmp_path / name, entries, time=1_700_000_000)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as archive:
        file, link = archive.getmembers()
    assert (file.name, file.mode, file.uid, file.mtime) == ("./etc/a", 0o600, 0, 1_700_000_000)
    assert (link.linkname, link.issym()) == ("/opt/b", True)


def test_wheels_are_those_of_the_image_s_python() -> None:
    words = downloaded("3.13")
    assert "--python-version=3.13" in words
    assert "--only-binary=:all:" in words
    assert words[-1] == "--platform=manylinux2014_x86_64"


def test_a_lock_pins_the_wheels() -> None:
    locked = replace(RECIPE, lock=LOCK)
    assert requirements(locked) == ["patroni==4.1.5", "ydiff==1"]
    assert built_here(locked)[-2:] == ["python-etcd", "ydiff==1"]
    assert requirements(RECIPE) == ["patroni[etcd3,psycopg3]>=4.0.4"]


def test_what_is_installed_is_read_from_the_image(work: Work) -> None:
    work.lists.mkdir()
    (work.lists / "packages").write_text("haproxy 2.6\nlibc6 2.36\n")
    (work.lists / "python").write_text("patroni==4.1.5\npip==23.0.1\n")
    assert installed(work) == ({"haproxy": "2.6", "libc6": "2.36"}, {"patroni": "4.1.5"})


def test_a_failure_tells_apt_s_reason_and_keeps_the_log(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "I: running apt-get update...\nE: Unable to locate package nosuch\nI: cleaning up\n"
    script = work.folder / "mmdebstrap"
    script.write_text(f"#!/bin/sh\ncat <<'E'\n{text}E\nexit 25\n")
    script.chmod(0o755)
    monkeypatch.setattr(root, "program", lambda name: str(script))
    with pytest.raises(CommandFailed, match="Unable to locate package nosuch") as raised:
        root.make_root(RECIPE, work)
    assert str(work.kept_log) in (raised.value.hint or "")
    assert work.kept_log.read_text() == text


def test_all_that_lacks_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: None)
    with pytest.raises(MissingSoftware) as raised:
        tools.require_tools()
    assert "mmdebstrap, " in raised.value.message
    assert (raised.value.hint or "").startswith("apt-get install --no-install-recommends ")
    with pytest.raises(MissingSoftware, match="sfdisk"):
        tools.program("sfdisk")


def test_without_root_a_range_of_user_ids_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setattr(tools, "_own_name", lambda: "me")
    monkeypatch.setattr(tools, "SUBORDINATE", tmp_path / "subuid")
    monkeypatch.setattr(shutil, "which", lambda name, path: None)
    with pytest.raises(MissingSoftware, match="newuidmap"):
        tools.require_rights()
    monkeypatch.setattr(shutil, "which", lambda name, path: f"/usr/bin/{name}")
    with pytest.raises(PlatformError, match="user me has no range") as raised:
        tools.require_rights()
    assert "usermod --add-subuids" in (raised.value.hint or "")
    (tmp_path / "subuid").write_text("you:1:2\nme:100000:65536\n")
    tools.require_rights()


def test_nothing_is_left_behind_by_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PlatformError("no network")

    monkeypatch.setattr(build, "require_tools", lambda: None)
    monkeypatch.setattr(build, "require_rights", lambda: None)
    monkeypatch.setattr(build, "python_version", lambda: "3.11")
    monkeypatch.setattr(build, "fetch_wheels", fail)
    target = tmp_path / "image.qcow2"
    target.write_text("the old one")
    with pytest.raises(PlatformError, match="no network"):
        build.build(RECIPE, target, say=silent)
    assert [path.name for path in tmp_path.iterdir()] == ["image.qcow2"]
    assert target.read_text() == "the old one"


def test_an_image_is_built_once_per_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def fake(wanted: Recipe, target: Path, *, say: object, rootfs: Path | None = None) -> Built:
        built.append(target.name)
        target.write_text("qcow2")
        packages = target.with_suffix(".packages")
        packages.write_text(LOCK.text())
        if rootfs:
            rootfs.write_text("tar")
        return Built(target, packages, LOCK, rootfs)

    monkeypatch.setattr(cache, "build", fake)
    first = cache.cached(RECIPE, say=silent, folder=tmp_path)
    assert cache.cached(RECIPE, say=silent, folder=tmp_path) == first
    other = cache.cached(replace(RECIPE, size=9), say=silent, folder=tmp_path)
    assert other.image != first.image
    with_root = cache.cached(RECIPE, say=silent, rootfs=True, folder=tmp_path)
    assert with_root.rootfs is not None
    assert built == [first.image.name, other.image.name, first.image.name]


def test_arguments_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    lock = tmp_path / "image.packages"
    lock.write_text(LOCK.text())
    with pytest.raises(SpecError, match="--include cannot be given with --lock"):
        build_image(tmp_path / "a.qcow2", say=silent, lock=lock, more=("vim",))
    with pytest.raises(SpecError, match="is a folder"):
        build_image(tmp_path, say=silent)
    with pytest.raises(SpecError, match="list of the image's contents"):
        build_image(tmp_path / "a.packages", say=silent)

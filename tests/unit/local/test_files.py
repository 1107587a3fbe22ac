from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pgstead.errors import PlatformError
from pgstead.platforms.local.files import (
    explained,
    make_folder,
    own_folder,
    read_file,
    remove_tree,
    tail_of,
    write_file,
)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_file_is_written_once_and_its_permissions_put_right(tmp_path: Path) -> None:
    file = tmp_path / "etc/app/conf"
    assert write_file(file, "text", 0o640)
    assert (read_file(file), mode(file), mode(file.parent), mode(file.parent.parent)) == (
        "text",
        0o640,
        0o700,
        0o700,
    )
    file.chmod(0o666)
    before = file.stat().st_mtime_ns
    assert not write_file(file, "text", 0o640)
    assert (mode(file), file.stat().st_mtime_ns) == (0o640, before)
    assert [one.name for one in file.parent.iterdir()] == ["conf"]


def test_what_a_crash_left_half_written_is_no_obstacle(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    (tmp_path / ".conf.new").symlink_to(elsewhere)
    write_file(tmp_path / "conf", "text")
    assert elsewhere.read_text() == "precious"
    assert not (tmp_path / "conf").is_symlink()


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "who owns"), (errno.EROFS, "read-only")],
)
def test_an_error_names_the_path_and_says_what_to_do(number: int, hint: str) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number), "/some/file")

    with pytest.raises(PlatformError, match=r"^/some/file: ") as caught, explained("/some"):
        fail()
    assert hint in str(caught.value.hint)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "conf"
    write_file(file, "old")

    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(PlatformError, match="No space left on device"):
        write_file(file, "new")
    assert file.read_text() == "old"


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    for path, owner in ((open_to_all, os.geteuid()), (link, os.geteuid()), (tmp_path, 4711)):
        with pytest.raises(PlatformError, match="is not a folder of user"):
            own_folder(path, owner)
    own_folder(tmp_path / "mine", os.geteuid())
    own_folder(tmp_path / "mine", os.geteuid())


def test_removing_follows_no_link(tmp_path: Path) -> None:
    make_folder(tmp_path / "kept")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "link")
    remove_tree(tmp_path / "never-was")
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]


def test_the_tail_of_a_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(map(str, range(10_000))))
    assert tail_of(log, lines=2) == "9998\n9999"
    assert tail_of(tmp_path / "none") == ""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pgstead.errors import PlatformError
from pgstead.platforms.local.account import Account, service_account

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@as_root
def test_root_has_servers_run_as_an_ordinary_user() -> None:
    account = service_account("nobody")
    assert (account.name, account.user, account.switch) == ("nobody", "nobody", True)
    with pytest.raises(PlatformError, match="servers cannot run as root"):
        service_account("root")


def test_a_user_that_is_not_there_is_told_of() -> None:
    with pytest.raises(PlatformError, match="nobody-of-that-name"):
        service_account("nobody-of-that-name")


@as_root
def test_files_are_accessed_as_that_user_by_this_thread(tmp_path: Path) -> None:
    account = service_account("nobody")
    tmp_path.chmod(0o700)
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o755)
    os.chown(mine, account.uid, account.gid)
    with account.acting(), pytest.raises(PermissionError):
        (tmp_path / "file").write_text("")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o001)
    with account.acting():
        with account.acting():
            (mine / "file").write_text("")
        (mine / "other").write_text("")
    assert {(mine / name).stat().st_uid for name in ("file", "other")} == {account.uid}
    (tmp_path / "of-root").write_text("")
    assert (tmp_path / "of-root").stat().st_uid == 0


def test_without_a_switch_nothing_changes(tmp_path: Path) -> None:
    account = Account("me", 54321, 54321, tmp_path, switch=False)
    assert account.user is None
    with account.acting():
        (tmp_path / "file").write_text("")
    assert (tmp_path / "file").stat().st_uid == os.geteuid()

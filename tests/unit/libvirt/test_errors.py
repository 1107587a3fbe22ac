"""libvirt's errors in words that say what to do."""

from __future__ import annotations

import pytest

pytest.importorskip("libvirt")

import libvirt

from pgstead.errors import PlatformError
from pgstead.platforms.libvirt.errors import (
    APPARMOR,
    DENIED,
    PERMISSION,
    RUNS,
    TOO_LARGE,
    explained,
)


def raised(text: str, code: int = libvirt.VIR_ERR_INTERNAL_ERROR) -> PlatformError:
    error = libvirt.libvirtError(text)
    error.err = (code, 0, text, 2, None, None, None, 0, 0)
    with pytest.raises(PlatformError) as caught, explained("start of etcd-1", "b"):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "process exited while connecting to monitor: Could not open '/x': Permission denied",
            PERMISSION,
        ),
        (
            "internal error: cannot load AppArmor profile 'libvirt-6b2f4c2e-6c1b'",
            APPARMOR,
        ),
        (
            "cannot access storage file '/srv/vm/os.qcow2' (apparmor denied): Permission denied",
            APPARMOR,
        ),
        (
            "Failed to connect socket to '/var/run/libvirt/libvirt-sock': Permission denied",
            DENIED,
        ),
        ("unable to connect to server at 'b:16514': failed to connect to it", RUNS),
        ("Cannot recv data: Connection reset by peer", RUNS),
        ("cannot set up guest memory 'pc.ram': Cannot allocate memory", TOO_LARGE),
        ("something nobody thought of", None),
    ],
)
def test_an_error_says_what_to_do(text: str, hint: str | None) -> None:
    error = raised(text)
    assert error.message == f"start of etcd-1 on b: {text}"
    assert error.hint == hint


def test_a_full_pool_says_how_to_look() -> None:
    assert "virsh pool-info" in (raised("No space left on device").hint or "")


def test_a_login_that_fails_names_the_group() -> None:
    assert raised("authentication failed", libvirt.VIR_ERR_AUTH_FAILED).hint == DENIED

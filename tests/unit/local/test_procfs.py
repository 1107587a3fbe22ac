"""What the kernel tells of a process."""

import os
import subprocess
import time

import pytest

from pgstead import procfs
from pgstead.cli import clock
from pgstead.procfs import stat


def test_a_process_is_told_of_whatever_its_name_holds() -> None:
    rename = "import sys; open('/proc/self/comm', 'w').write('a) (b')"
    code = f"{rename}; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        ["/usr/bin/env", "python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert child.stdin
        child.stdout.readline()
        found = stat(child.pid)
        child.stdin.close()
    assert found is not None
    assert (found.name, found.parent) == ("a) (b", os.getpid())
    assert stat(child.pid) is None, "it is gone"


def test_a_process_is_as_old_as_its_start_says() -> None:
    ours = stat("self")
    assert ours == stat(os.getpid())
    assert ours
    before = procfs.age(ours.started)
    assert 0 < before < time.clock_gettime(time.CLOCK_BOOTTIME)
    assert abs(time.monotonic() - clock.began() - before) < 1


def test_where_the_kernel_does_not_tell_a_command_begins_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(procfs, "stat", lambda pid: None)
    before = time.monotonic()
    assert before <= clock.began() <= time.monotonic()

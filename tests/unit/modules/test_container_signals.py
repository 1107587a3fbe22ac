"""Signals to a server in a container: the script itself, around a server that is hard of hearing.

A first process of a container never hears what it does not handle; here, what it ignores.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pgstead import procfs
from pgstead.machine import Machine, replace_tokens
from pgstead.waiting import wait

Tree = dict[str, Any]
Make = Callable[..., Machine]

SECONDS = 60

PODMAN = """#!/bin/sh
case "$1" in
run) exec {python} {folder}/server.py {folder} ;;
inspect) cat {folder}/pid ;;
kill) echo "$@" >> {folder}/ended; kill -s "$3" "$(cat {folder}/pid)" ;;
image) ;;
stop|rm) echo "$@" >> {folder}/ended ;;
*) exit 9 ;;
esac
"""

SERVER = """
import os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def noted(number, frame):
    with (folder / "heard").open("a") as file:
        file.write(f"{signal.Signals(number).name}\\n")
def ends(number, frame):
    noted(number, frame)
    sys.exit(0)
def once(number, frame):
    noted(number, frame)
    signal.signal(signal.SIGTERM, ends)
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
signal.signal(signal.SIGTERM, once)  # the first one is lost on it
(folder / "new").write_text(str(os.getpid()))
(folder / "new").rename(folder / "pid")
while True:
    if (folder / "listens").exists():
        signal.signal(signal.SIGUSR2, noted)
    time.sleep(0.02)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pgstead-") as name:
        yield Path(name)


@pytest.fixture(params=["podman", "docker"])
def script(
    request: pytest.FixtureRequest, make: Make, balancer: Tree, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The script of a load balancer's container, whose server runs."""
    tree = {**balancer, "haproxy_image": "haproxy:3.0", "container_runtime": request.param}
    files = make(tree, platform="memory").software.files
    (text,) = [one.content for one in files if one.path.endswith("haproxy-container")]
    text = replace_tokens(text, lambda _, name: f"{folder}{name}")
    (folder / "script").write_text(text.replace("id -u haproxy", "id -u"))
    _program(folder / request.param, PODMAN.format(python=sys.executable, folder=folder))
    _program(folder / "systemctl", "#!/bin/sh\n")
    (folder / "server.py").write_text(SERVER)
    words = ["/bin/sh", str(folder / "script"), "run", "haproxy", "-W"]
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    process = subprocess.Popen(words, env=environment, process_group=0)
    try:
        wait((folder / "pid").exists, deadline=SECONDS, what="the server")
        wait(lambda: _listens(process), deadline=SECONDS, what="the script to hear signals")
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)


def _listens(script: subprocess.Popen[bytes]) -> bool:
    """Whether it waits for its server, as it does once all that it hears is set."""
    seen = procfs.stat(script.pid)
    return seen is not None and seen.state == "S"


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _heard(folder: Path) -> list[str]:
    there = folder / "heard"
    return there.read_text().split() if there.exists() else []


def test_a_stop_that_is_lost_is_said_again(script: subprocess.Popen[bytes], folder: Path) -> None:
    script.send_signal(signal.SIGTERM)
    assert script.wait(SECONDS) == 0, "the server's own end"
    assert _heard(folder) == ["SIGTERM", "SIGTERM"]


def test_a_reload_waits_until_it_is_heard(script: subprocess.Popen[bytes], folder: Path) -> None:
    script.send_signal(signal.SIGUSR2)
    (folder / "listens").touch()
    wait(lambda: _heard(folder) == ["SIGUSR2"], deadline=SECONDS, what="the reload")
    assert script.poll() is None
    script.send_signal(signal.SIGTERM)
    assert script.wait(SECONDS) == 0


def test_a_stop_is_not_held_up_by_a_reload_that_nobody_hears(
    script: subprocess.Popen[bytes], folder: Path
) -> None:
    script.send_signal(signal.SIGUSR2)
    script.send_signal(signal.SIGTERM)
    assert script.wait(SECONDS) == 0
    assert _heard(folder) == ["SIGTERM", "SIGTERM"]


def test_a_server_that_ends_by_itself_ends_the_script(
    script: subprocess.Popen[bytes], folder: Path
) -> None:
    os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
    assert script.wait(SECONDS) == 128 + signal.SIGKILL


@pytest.mark.parametrize(
    ("result", "asked"),
    [("success", []), ("timeout", ["kill", "stop", "rm"]), ("signal", ["stop", "rm"])],
)
def test_what_a_service_leaves_running_is_ended_after_it(
    script: subprocess.Popen[bytes], folder: Path, result: str, asked: list[str]
) -> None:
    """As systemd runs it: once the script and the runtime's client were killed, or ended."""
    (folder / "ended").write_text("")
    done = _end(folder, result)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in (folder / "ended").read_text().splitlines()]
    assert [line[0] for line in lines] == asked
    assert all(line[-1] == "haproxy" for line in lines)
    killed = result == "timeout"
    assert (script.wait(SECONDS) if killed else script.poll()) == (137 if killed else None)


def test_a_container_that_is_gone_already_ends_well(
    script: subprocess.Popen[bytes], folder: Path
) -> None:
    script.send_signal(signal.SIGTERM)
    assert script.wait(SECONDS) == 0
    assert _end(folder, "timeout").returncode == 0


def _end(folder: Path, result: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "SERVICE_RESULT": result,
    }
    words = ["/bin/sh", str(folder / "script"), "end"]
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )

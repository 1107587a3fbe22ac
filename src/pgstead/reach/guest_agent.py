"""Reach by the QEMU guest agent: no network needed, only the hypervisor.

The agent takes one JSON command and gives one JSON answer
(https://www.qemu.org/docs/master/interop/qemu-ga-ref.html).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgstead.errors import NotReady, PlatformError
from pgstead.reach.base import Finished
from pgstead.reach.guest import (
    PART,
    SAY_LATE,
    SETTLE,
    GuestReach,
    bounded,
    is_late,
    late,
    script,
    write_failed,
)
from pgstead.waiting import wait

Call = Callable[[str], str]
"""Sends one command as JSON text, gives the answer's. Raises `PlatformError`."""

CHUNK = 256 * 1024
"""Bytes of a file in one command: well below what agent and libvirt take at most."""

ANSWER_SECONDS = 30
"""For the agent to answer at all."""

WRITE_SECONDS = 60.0
POLL = (0.02, 0.5)
"""First and longest pause, in seconds, between two looks at whether a command has ended."""


@dataclass(frozen=True)
class AgentTransport:
    """Implements `reach.guest.Transport`; the agent itself is root."""

    machine: str
    call: Call

    def ping(self) -> bool:
        """Whether the agent answers."""
        try:
            self._ask("guest-ping")
        except PlatformError:
            return False
        return True

    def execute(self, argv: Sequence[str], *, timeout: float) -> Finished:
        """Run a command; see `reach.guest.Transport.execute`."""
        # By a shell, for which a program that is not there is an answer and not an error.
        path, *words = script(f'"$@"; {SAY_LATE}; exit $code', *bounded(argv, timeout))
        started = self._ask("guest-exec", {"path": path, "arg": words, "capture-output": True})
        done = self._ended(_number(started, "pid"), argv, timeout)
        if is_late(done.code, done.stderr):
            raise late(self.machine, argv, timeout)
        return done

    def write(self, path: str, content: str, *, owner: str, mode: int) -> None:
        """Write a file: beside its place first, then it takes its place."""
        data = content.encode()
        part = self._settled(path, script(f'{PART}printf %s "$part"', path)).stdout
        words = (path, part, f"{owner}:", f"{mode:o}", str(len(data)))
        try:
            self._fill(part, data)
            self._settled(path, script(_SETTLE, *words))
        except BaseException:
            self._remove(part)
            raise

    def close(self) -> None:
        """Nothing is kept open."""

    def _settled(self, path: str, argv: Sequence[str]) -> Finished:
        done = self.execute(argv, timeout=WRITE_SECONDS)
        if done.code != 0:
            raise write_failed(self.machine, path, done)
        return done

    def _fill(self, path: str, data: bytes) -> None:
        handle = self._ask("guest-file-open", {"path": path, "mode": "w"})
        try:
            for start in range(0, len(data), CHUNK):
                self._write_chunk(handle, data[start : start + CHUNK])
            self._ask("guest-file-flush", {"handle": handle})
        finally:
            self._ask("guest-file-close", {"handle": handle})

    def _write_chunk(self, handle: object, chunk: bytes) -> None:
        while chunk:
            words = {"handle": handle, "buf-b64": base64.b64encode(chunk).decode()}
            count = _number(self._ask("guest-file-write", words), "count")
            if count <= 0:
                raise self._odd("it wrote nothing")
            chunk = chunk[count:]

    def _remove(self, path: str) -> None:
        try:
            self.execute(["rm", "-f", "--", path], timeout=WRITE_SECONDS)
        except PlatformError:
            return  # the reason why the file is not wanted any more is the one to be told

    def _ended(self, pid: int, argv: Sequence[str], timeout: float) -> Finished:
        def ended() -> Finished | None:
            return _finished(self._ask("guest-exec-status", {"pid": pid}), self._odd)

        deadline = timeout + ANSWER_SECONDS
        try:
            return wait(ended, deadline=deadline, what="the end of a command", interval=POLL)
        except NotReady as error:
            raise late(self.machine, argv, timeout) from error

    def _ask(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        message: dict[str, object] = {"execute": command}
        if arguments is not None:
            message["arguments"] = arguments
        answer = _parsed(self.call(json.dumps(message)))
        if answer is None or "return" not in answer:
            raise self._odd(_description(answer))
        return answer["return"]

    def _odd(self, why: str) -> PlatformError:
        return PlatformError(
            f"the guest agent of machine {self.machine} failed: {why}",
            hint="look at `journalctl -u qemu-guest-agent` on the machine",
        )


def agent_reach(machine: str, call: Call, text: Callable[[str], str] = str) -> GuestReach:
    """Reach into the guest by its agent; `text` replaces tokens."""
    return GuestReach(AgentTransport(machine, call), text)


def libvirt_call(domain: Any, machine: str, *, seconds: int = ANSWER_SECONDS) -> Call:
    """Commands to the agent of a libvirt domain (`libvirt.virDomain`).

    `seconds` is how long the agent may take to answer. The call raises `PlatformError` if it
    does not, or answers with an error.
    """
    import libvirt  # noqa: PLC0415 - needed only where there is libvirt
    import libvirt_qemu  # noqa: PLC0415

    def call(command: str) -> str:
        try:
            return str(libvirt_qemu.qemuAgentCommand(domain, command, seconds, 0))
        except libvirt.libvirtError as error:
            raise _refused(machine, str(error.get_error_message())) from error

    return call


_SETTLE = f"set -eu\npart=$2 owner=$3 mode=$4 size=$5\n{SETTLE}"

_ABSENT = ("not connected", "not responding", "not configured", "not running", "timeout")


def _refused(machine: str, said: str) -> PlatformError:
    if any(word in said for word in _ABSENT):
        return PlatformError(
            f"machine {machine} cannot be reached by its guest agent: {said}",
            hint="the machine has to run, with qemu-guest-agent installed and started in it",
        )
    return PlatformError(f"the guest agent of machine {machine} failed: {said}")


def _finished(status: Any, odd: Callable[[str], PlatformError]) -> Finished | None:
    """How a command ended, from the answer to guest-exec-status; None while it runs."""
    if not isinstance(status, dict) or "exited" not in status:
        raise odd(f"{status!r} is no status")
    if not status["exited"]:
        return None
    if status.get("out-truncated") or status.get("err-truncated"):
        raise odd("a command wrote more than the agent keeps")
    code = status.get("exitcode", -int(status.get("signal", 1)))
    return Finished(int(code), _text(status.get("out-data")), _text(status.get("err-data")))


def _text(data: str | None) -> str:
    return base64.b64decode(data or "").decode(errors="replace")


def _parsed(answer: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(answer)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _description(answer: dict[str, Any] | None) -> str:
    error = (answer or {}).get("error")
    if isinstance(error, dict) and "desc" in error:
        return str(error["desc"])
    return f"{answer!r} is no answer"


def _number(answer: Any, key: str) -> int:
    if not isinstance(answer, dict) or not isinstance(answer.get(key), int):
        raise PlatformError(f"the guest agent answered {answer!r}, which has no {key}")
    return int(answer[key])

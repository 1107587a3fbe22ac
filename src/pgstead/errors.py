"""The one error tree: what is wrong and with what, and a hint that says what to do.

Raise the most specific class; `cli` turns it into user text in one place.
"""

from __future__ import annotations


class PgsteadError(Exception):
    """Base of every error a user may see.

    `message` names the thing and the value; `hint` says what to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SpecError(PgsteadError):
    """A stack file, or an argument, that cannot be accepted; nothing was touched."""

    exit_code = 2


class MissingSoftware(PgsteadError):
    """A program that is not installed, or is too old; `pgstead doctor` lists all of them."""


class PlatformError(PgsteadError):
    """The platform (this machine, a hypervisor, a cloud) could not do what was asked."""


class Unreachable(PlatformError):
    """A host, or a cloud, that does not answer: nothing of it can be seen."""


class ClientError(PgsteadError):
    """A server (etcd, Patroni, PostgreSQL, HAProxy) answered with an error or not at all."""


class StateError(PgsteadError):
    """The state or the materials cannot be read, written, locked or decrypted."""


class Refused(PgsteadError):
    """Something that would lose data, quorum or the last synchronous standby."""


class NotReady(PgsteadError):
    """Something did not become ready before its deadline."""


class CommandFailed(PgsteadError):
    """A program that pgstead started ended with an error."""


class Interrupted(PgsteadError):
    """The user stopped the work; what was done is recorded and a rerun resumes."""

    exit_code = 130

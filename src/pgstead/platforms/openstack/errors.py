"""The cloud's errors, in words that say what to do."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from keystoneauth1 import exceptions as identity
from openstack import exceptions as sdk

from pgstead.errors import PlatformError, Unreachable

CREDENTIALS = (
    "see platform.cloud and its entry in clouds.yaml, or the OS_* variables; an application"
    " credential (`openstack application credential create`) neither expires nor is a password"
)
AGAIN = "run the same command again: it goes on where it stopped"

_OVERLOADED = 429
_SERVER = 500
_FORBIDDEN = 403
_UNAUTHORIZED = 401

QUOTA = "ask the cloud's operators for a higher quota (`openstack quota show`), or need less"
NO_HOST = (
    "no host of the cloud has room for that flavor in that zone, or, with server_group:"
    " anti-affinity, there are fewer hosts than members (soft-anti-affinity takes any)"
)
ADDRESS = (
    "give the machine another `ip`, or platform.addresses a range that nobody else takes"
    " addresses from; a stack that serves nobody yet can be destroyed and made again"
)
ZONE = (
    "see `openstack availability zone list`; volumes may have zones of their own:"
    " platform.volume_zone"
)
IMAGE = f"see `openstack image list`; if it is there, the image service did not answer: {AGAIN}"
POLICY = "a role of the project (member) has to allow it; ask the cloud's operators"

_WORDS: tuple[tuple[str, str], ...] = (
    (r"quota|over ?limit|exceeds? .*limit", QUOTA),
    (r"no valid host", NO_HOST),
    (r"ip ?address.*(already allocated|in use)|already allocated in", ADDRESS),
    (r"unable to access requested image", IMAGE),
    (r"more than one", "give its id, not its name"),
    (r"(already|still) in use|in-use", "see what has it, and let go of it there"),
    (r"user.?data.*(too (large|long|big)|exceed)", "use delivery: reach"),
    (r"availability.?zone", ZONE),
    (r"policy does(n.t| not) allow|not authorized|disallowed by policy", POLICY),
)
"""Patterns of what errors say, in small letters, and what to do then; the first that fits."""


class CloudDown(Unreachable):
    """The cloud does not answer, or does not let us in: nothing of it can be seen."""


def quiet() -> None:
    """Errors are raised; libraries shall not print them as well."""
    for name in ("keystoneauth", "openstack", "stevedore", "urllib3"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn the cloud's errors into a `PlatformError`: `<what>: <why>`."""
    try:
        yield
    except sdk.SDKException as error:
        raise translated(error, what) from None
    except identity.ClientException as error:
        raise _of_identity(error, what) from None


def translated(error: sdk.SDKException, what: str) -> PlatformError:
    """The error for what the cloud answered, with a hint where there is one."""
    if isinstance(error.__context__, identity.ClientException):
        return _of_identity(error.__context__, what)
    if not isinstance(error, sdk.HttpException):
        text = str(error.message or error)
        kind = CloudDown if isinstance(error, sdk.ConfigException) else PlatformError
        return kind(f"{what}: {text}", hint=CREDENTIALS if kind is CloudDown else _hint(text))
    status = error.status_code or 0
    text = _told(error)
    if status == _UNAUTHORIZED:
        return _unauthorized(what, text)
    if status == _OVERLOADED:
        return PlatformError(
            f"{what}: the cloud takes no more requests for now: {text}", hint=AGAIN
        )
    if status >= _SERVER:
        words = f"{what}: the cloud failed ({status}): {text}{_request(error)}"
        return PlatformError(words, hint=AGAIN)
    return PlatformError(f"{what}: {text}{_request(error)}", hint=_hint(text))


def _told(error: sdk.HttpException) -> str:
    """What the service itself says, without the URL and the class of the exception."""
    text = str(error.details or error.message or error)
    return " ".join(text.split())[:600].rstrip(".")


def _request(error: sdk.HttpException) -> str:
    """What the cloud's operators find the request by in their logs."""
    return f" (request {error.request_id})" if error.request_id else ""


def _unauthorized(what: str, text: str) -> CloudDown:
    expired = re.search(r"expire|token", text, re.IGNORECASE)
    why = "the token is not valid any more" if expired else "the cloud refuses the credentials"
    return CloudDown(f"{what}: {why}: {text}", hint=CREDENTIALS)


def _of_identity(error: identity.ClientException, what: str) -> PlatformError:
    text = " ".join(str(error.message or error).split())[:600]
    if isinstance(error, identity.Unauthorized):
        return _unauthorized(what, text)
    if isinstance(error, identity.ConnectFailure | identity.ConnectTimeout):
        return CloudDown(
            f"{what}: the cloud cannot be reached: {_short(text)}",
            hint="see that its address in clouds.yaml is right and that it answers from here; "
            + AGAIN,
        )
    if isinstance(error, identity.HttpError) and (error.http_status or 0) >= _SERVER:
        return PlatformError(f"{what}: the cloud failed ({error.http_status}): {text}", hint=AGAIN)
    return CloudDown(f"{what}: {text}", hint=CREDENTIALS)


def _short(text: str) -> str:
    """What could not be connected to and why, without the names of Python's classes."""
    where = text.partition(": HTTP")[0]
    why = re.search(r"\[Errno -?\d+\] ([^'\")]+)|(timed out)", text)
    return f"{where}: {why[1] or why[2]}" if why and why[0] not in where else where


def hint_for(text: str) -> str | None:
    """What to do about a reason that the cloud gives, if that is known."""
    return _hint(text)


def _hint(text: str) -> str | None:
    lower = text.lower()
    return next((hint for pattern, hint in _WORDS if re.search(pattern, lower)), None)

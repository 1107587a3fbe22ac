"""What a cloud answers, in words that say what to do."""

from __future__ import annotations

import pytest

pytest.importorskip("openstack")

import requests
from keystoneauth1 import exceptions as identity
from openstack import exceptions as sdk

from pgstead.errors import PlatformError
from pgstead.platforms.openstack.errors import CloudDown, explained


def answered(status: int, details: str) -> sdk.HttpException:
    response = requests.Response()
    response.status_code = status
    response.headers["x-openstack-request-id"] = "req-1"
    kinds: dict[int, type[sdk.HttpException]] = {
        400: sdk.BadRequestException,
        403: sdk.ForbiddenException,
        404: sdk.NotFoundException,
        409: sdk.ConflictException,
    }
    return kinds.get(status, sdk.HttpException)("no", response=response, details=details)


def told(error: Exception) -> PlatformError:
    with pytest.raises(PlatformError) as found, explained("server a"):
        raise error
    return found.value


@pytest.mark.parametrize(
    ("status", "details", "words", "hint"),
    [
        (403, "Quota exceeded for instances: Requested 1", "Quota exceeded", "higher quota"),
        (413, "VolumeLimitExceeded: over limit", "over limit", "higher quota"),
        (409, "Quota exceeded for resources: ['port'].", "['port']", "higher quota"),
        (409, "IP address 10.0.0.7 already allocated in subnet x", "10.0.0.7", "another `ip`"),
        (400, "unable to access requested image", "image", "goes on where it stopped"),
        (409, "Port 7 is still in use.", "still in use", "let go of it"),
        (400, "The requested availability zone is not available", "zone", "volume_zone"),
        (403, "Policy doesn't allow compute:x to be performed", "Policy", "role of the project"),
        (400, "User data too large. User data must be no larger", "User data", "delivery: reach"),
        (429, "slow down", "takes no more requests for now", "goes on where it stopped"),
        (500, "boom", "the cloud failed (500): boom (request req-1)", "goes on where it stopped"),
        (503, "", "the cloud failed (503)", "goes on where it stopped"),
    ],
)
def test_each_refusal_says_what_to_do(status: int, details: str, words: str, hint: str) -> None:
    found = told(answered(status, details))
    assert found.message.startswith("server a: ")
    assert words in found.message
    assert hint in str(found.hint)


def test_what_cannot_be_connected_to_is_told_without_pythons_classes() -> None:
    reason = (
        "NewConnectionError(\"HTTPConnection(host='a', port=9): [Errno 111] Connection refused\")"
    )
    text = f"Unable to establish connection to http://a:9/v3: HTTPConnectionPool: {reason}"
    found = told(identity.ConnectFailure(text))
    end = "Unable to establish connection to http://a:9/v3: Connection refused"
    assert found.message.endswith(end)


def test_what_nothing_is_known_of_is_told_as_it_is() -> None:
    found = told(answered(400, "Something else."))
    assert (found.message, found.hint) == ("server a: Something else (request req-1)", None)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (identity.Unauthorized("The request you have made requires authentication."), "refuses"),
        (identity.Unauthorized("The token has expired"), "token is not valid any more"),
        (identity.ConnectFailure("Connection refused"), "cannot be reached"),
        (identity.MissingRequiredOptions([]), "server a: "),
        (answered(401, "The request you have made requires authentication."), "refuses"),
    ],
)
def test_who_is_not_let_in_sees_nothing(error: Exception, words: str) -> None:
    found = told(error)
    assert isinstance(found, CloudDown)
    assert words in found.message
    assert found.hint is not None

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgstead.clients import scram
from pgstead.clients.postgres import matching
from pgstead.errors import ClientError

# The example of RFC 7677: password "pencil", 4096 iterations.
SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="


def test_known_password() -> None:
    text = str(scram.make("pencil", b"[m\x99h\x9d\x125\x8e\xec\xa0K\x14\x126\xfa\x81"))
    assert text == (
        f"SCRAM-SHA-256$4096:{SALT}$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


@pytest.mark.parametrize(
    "text", ["", "md5abc", "SCRAM-SHA-256$4096:!$a:b", "SCRAM-SHA-256$x:y$z:w"]
)
def test_what_is_no_verifier(text: str) -> None:
    assert scram.parse(text) is None


def test_passwords_that_servers_prepare_are_refused() -> None:
    with pytest.raises(ClientError, match="not ASCII") as raised:
        scram.make("pässword", b"salt")
    assert "ssword" not in raised.value.message.replace("password", "")


@settings(max_examples=20)
@given(st.text("abc", min_size=1, max_size=4), st.text("abc", min_size=1, max_size=4))
def test_a_verifier_matches_its_password_alone(password: str, other: str) -> None:
    verifier = scram.parse(str(scram.make(password, b"0123456789abcdef", 2)))
    assert verifier is not None
    assert verifier.matches(password)
    assert verifier.matches(other) is (password == other)


def test_which_password_it_was() -> None:
    verifier = scram.make("old", b"salt", 2)
    assert matching(verifier, {"wanted": "new", "last": "old"}) == "last"
    assert matching(verifier, {"wanted": "new", "last": None}) is None
    assert matching(None, {"wanted": "new"}) is None

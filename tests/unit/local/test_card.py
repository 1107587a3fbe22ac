from __future__ import annotations

from pathlib import Path

import pytest

from pgstead.errors import PlatformError
from pgstead.platforms.local.card import (
    Card,
    ServiceCard,
    card_of_running,
    read_card,
    write_card,
)
from pgstead.platforms.local.places import MachinePlaces


@pytest.fixture
def here(tmp_path: Path) -> MachinePlaces:
    return MachinePlaces(tmp_path, tmp_path / "run")


def test_a_card_is_read_as_it_was_written(here: MachinePlaces) -> None:
    services = (ServiceCard("app", port=1, stagger=0.1), ServiceCard("other"))
    card = Card("m", "127.2.3.4", {"/etc/x": True}, {"/run/x": 0o755}, ("/data",), services)
    write_card(here, card)
    assert read_card(here) == card
    assert card.without(("app",)).services == (ServiceCard("other"),)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1, "odd": 2}'])
def test_a_card_that_cannot_be_read_is_none(here: MachinePlaces, text: str) -> None:
    here.card.write_text(text)
    assert read_card(here) is None
    with pytest.raises(PlatformError, match="machine m is not there"):
        card_of_running(here, "m")


def test_a_service_that_is_not_there_is_told_of() -> None:
    card = Card("m", "", services=(ServiceCard("app"),))
    with pytest.raises(PlatformError, match="no service 'ap'") as caught:
        card.service("ap")
    assert caught.value.hint == "it has: app"

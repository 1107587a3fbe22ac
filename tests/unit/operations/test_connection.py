"""The libpq URI that a client is given."""

from __future__ import annotations

from pathlib import Path

from pgstead.connection import Connection, Endpoint


def uri(options: tuple[tuple[str, str], ...] = ()) -> str:
    endpoint = Endpoint([("10.0.0.1", 5432)], options=options)
    files = Path("/x/ca.crt"), Path("/x/app.pgpass")
    return Connection(endpoint, "app", "app", *files, "secret").uri()


def test_nothing_but_what_is_needed_stands_in_it() -> None:
    expected = "postgresql://app@10.0.0.1:5432/app?sslmode=verify-full"
    assert uri() == f"{expected}&sslrootcert=/x/ca.crt&passfile=/x/app.pgpass"


def test_a_clusters_timings_for_clients_are_libpqs_parameters() -> None:
    options = (("connect_timeout", "3"), ("tcp_user_timeout", "8000"))
    assert uri(options).endswith("&connect_timeout=3&tcp_user_timeout=8000")

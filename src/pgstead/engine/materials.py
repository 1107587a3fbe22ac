"""What pgstead owns for a stack: keys, certificates, passwords, addresses, words to remember.

Made in memory on the first ask, so that a plan knows everything and writes nothing;
saved before the first step of an apply.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from pgstead.certificates import (
    Authority,
    CertificateRequest,
    KeyPair,
    check_authority,
    make_authority,
)
from pgstead.engine import renewal
from pgstead.engine.addresses import Addresses, Allocate
from pgstead.errors import StateError

PASSWORD_BYTES = 24
"""24 random bytes are 32 characters of URL-safe base64."""


_DIGEST_KEY = "digest-key"
_SECRET_FIELDS = ("password", "key")
_TRIED = "tried"

Row = dict[str, Any]


class MaterialStore(Protocol):
    """Where materials are kept between runs (`engine.vault.Vault`)."""

    def load(self) -> dict[str, bytes]:
        """All of them, by name."""

    def save(self, changed: Mapping[str, bytes], removed: Collection[str] = ()) -> None:
        """Write and remove some, all or nothing."""


class StoredMaterials:
    """Implements `modules.base.Materials`. Safe to use from several threads.

    `allocate` gives free addresses for machines (a platform's `allocate`); `passwords` are
    those that the stack file gives. `clock` gives the time in UTC, `random` so many bytes.
    Raises `StateError` for a lost or wrong key.
    """

    def __init__(
        self,
        store: MaterialStore,
        *,
        allocate: Allocate,
        passwords: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._passwords = dict(passwords or {})
        self._now = clock()
        self._random = random
        self._guard = threading.RLock()
        self._rows: dict[str, Row] = {name: json.loads(row) for name, row in store.load().items()}
        self._dirty: set[str] = set()
        self._removed: set[str] = set()
        self._asked: set[str] = {_DIGEST_KEY}
        self._requests: dict[str, CertificateRequest] = {}
        self._authorities: dict[str, Authority] = {}
        self._addresses = Addresses(self._stored_addresses(), allocate)
        self._warnings: dict[str, None] = {}

    # -- what modules ask for

    def address(self, machine: str, wanted: str | None = None) -> str:
        """The machine's address: `wanted`, the stored one, or a free one.

        Raises `SpecError` for one that is wanted by two machines.
        """
        with self._guard:
            found = self._addresses.get(machine, wanted)
            self._keep(f"address/{machine}", {"address": found})
            return found

    def password(self, name: str) -> str:
        """The password of the stack file, or one that was made at the first ask."""
        with self._guard:
            if name in self._passwords:
                self._asked.add(f"password/{name}")
                return self._passwords[name]
            row = self._get(f"password/{name}", self._new_password)
            return str(row["password"])

    def authority(self, name: str, given: Authority | None = None) -> Authority:
        """The authority `given`, or the one that pgstead made under that name.

        Raises `SpecError` for a given one whose key does not belong to its certificate.
        """
        with self._guard:
            if given is not None and self._authorities.get(name) != given:
                check_authority(name, given)
                self._authorities[name] = given
            if name not in self._authorities:
                row = self._get(f"authority/{name}", lambda: self._new_authority(name))
                self._authorities[name] = Authority(row["certificate"], row["key"])
            return self._authorities[name]

    def certificate(self, request: CertificateRequest) -> KeyPair:
        """The certificate kept under the request's name, or a new one (`engine.renewal`)."""
        with self._guard:
            self._check_single(request)
            authority = self.authority(request.authority)
            name = f"certificate/{request.name}"
            kept = self._rows.get(name)
            row = renewal.kept_or_issued(kept, request, authority, self._now)
            self._keep(name, row)
            if warning := renewal.caution(row["certificate"], request, authority):
                self._warnings[warning] = None
            return KeyPair(row["certificate"], row["key"], authority.certificate)

    # -- words

    def recall(self, name: str) -> str | None:
        """What was remembered under that name, if anything."""
        with self._guard:
            row = self._rows.get(f"remembered/{name}")
            return None if row is None else str(row["value"])

    def remember(self, name: str, value: str) -> None:
        """Keep a word, in place of what was remembered under that name."""
        with self._guard:
            self._keep(f"remembered/{name}", {"value": value})

    # -- addresses

    def reserve(self, machines: Iterable[str]) -> None:
        """Allocate addresses for all of those that have none, in one go."""
        with self._guard:
            self._addresses.reserve(machines)

    def addresses(self) -> dict[str, str]:
        """The addresses that were given so far, by machine."""
        with self._guard:
            return self._stored_addresses()

    def release_address(self, machine: str) -> None:
        """Forget a machine's address, so that the next ask gives another one."""
        with self._guard:
            self._addresses.release(machine)
            if self._rows.pop(f"address/{machine}", None):
                self._removed.add(f"address/{machine}")

    # -- passwords that servers have

    def server_passwords(self, name: str) -> tuple[str, ...]:
        """What a server may have: what it was to be given since, newest first, and what it had."""
        with self._guard:
            row = self._rows.get(f"applied/{name}", {})
            known = [*reversed(row.get(_TRIED, ())), row.get("password")]
            return tuple(dict.fromkeys(password for password in known if password is not None))

    def mark_tried(self, passwords: Mapping[str, str]) -> None:
        """Remember that servers are about to be given these; written at once.

        Whatever interrupts the work, and however often they change meanwhile, the one that
        a server has is known.
        """
        with self._guard:
            changed = {
                f"applied/{name}": self._with_tried(f"applied/{name}", password)
                for name, password in passwords.items()
                if password not in self.server_passwords(name)
            }
            if changed:
                self._store.save({name: _to_bytes(row) for name, row in changed.items()})
            self._rows.update(changed)

    def _with_tried(self, name: str, password: str) -> Row:
        row = self._rows.get(name, {})
        return {**row, _TRIED: [*row.get(_TRIED, ()), password]}

    def mark_applied(self, passwords: Mapping[str, str]) -> None:
        """Remember that the servers have these passwords, and no others; written at once."""
        with self._guard:
            wanted = {f"applied/{name}": {"password": value} for name, value in passwords.items()}
            known = {name for name in self._rows if name.startswith("applied/")}
            changed = {name: row for name, row in wanted.items() if self._rows.get(name) != row}
            gone = known - wanted.keys()
            if changed or gone:
                self._store.save({name: _to_bytes(row) for name, row in changed.items()}, gone)
            self._rows.update(changed)
            for name in gone:
                del self._rows[name]

    # -- secrets

    def digest(self, text: str) -> str:
        """A keyed digest (HMAC-SHA-256, hexadecimal) that gives nothing away of `text`.

        The key is a material itself: the same from one run to the next, and over a rekey.
        """
        with self._guard:
            row = self._get(_DIGEST_KEY, lambda: {"key": _to_text(self._random(32))})
        key = base64.urlsafe_b64decode(row["key"])
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def secrets(self) -> set[str]:
        """Every secret value known, to be cut out of output; keys also line by line."""
        with self._guard:
            values = set(self._passwords.values())
            values |= {
                row[key] for row in self._rows.values() for key in _SECRET_FIELDS if key in row
            }
            values |= {each for row in self._rows.values() for each in row.get(_TRIED, ())}
            values |= {each.key for each in self._authorities.values() if each.key}
        lines = {line for value in values if "\n" in value for line in value.splitlines()}
        return {each for each in values | lines if each and not each.startswith("-----")}

    def made(self) -> tuple[str, ...]:
        """The authorities and passwords that were made since the last save, sorted."""
        with self._guard:
            kinds = ("authority/", "password/")
            return tuple(sorted(name for name in self._dirty if name.startswith(kinds)))

    def warnings(self) -> tuple[str, ...]:
        """What to tell the user, e.g. that an authority nears its end."""
        with self._guard:
            return tuple(self._warnings)

    # -- keeping

    def changed(self) -> bool:
        """Whether there is something to save."""
        with self._guard:
            return bool(self._dirty or self._removed)

    def save(self) -> None:
        """Write what is new or changed, all or nothing."""
        with self._guard:
            if self.changed():
                changed = {name: _to_bytes(self._rows[name]) for name in self._dirty}
                self._store.save(changed, self._removed)
                self._dirty.clear()
                self._removed.clear()

    def prune(self) -> None:
        """Remove what nobody asked for in this run: the machines it was for are gone.

        Only for a run that asked for everything, after it ended well.
        """
        with self._guard:
            unused = {
                name for name in self._rows.keys() - self._asked if not name.startswith("applied/")
            }
            if unused:
                self._store.save({}, unused - self._dirty)
            for name in unused:
                del self._rows[name]
            self._dirty -= unused

    def _get(self, name: str, make: Callable[[], Row]) -> Row:
        row = self._rows.get(name)
        return self._keep(name, make() if row is None else row)

    def _keep(self, name: str, row: Row) -> Row:
        self._asked.add(name)
        if self._rows.get(name) != row:
            self._rows[name] = row
            self._dirty.add(name)
            self._removed.discard(name)
        return row

    def _new_password(self) -> Row:
        return {"password": _to_text(self._random(PASSWORD_BYTES))}

    def _new_authority(self, name: str) -> Row:
        made = make_authority(name, "pgstead", now=self._now)
        return {"certificate": made.certificate, "key": made.key}

    def _stored_addresses(self) -> dict[str, str]:
        prefix = "address/"
        return {
            name.removeprefix(prefix): row["address"]
            for name, row in self._rows.items()
            if name.startswith(prefix)
        }

    def _check_single(self, request: CertificateRequest) -> None:
        if self._requests.setdefault(request.name, request) != request:
            raise StateError(
                f"two different certificates are asked for under the name {request.name!r}",
                hint="give the two modules different names",
            )


def _to_text(random: bytes) -> str:
    return base64.urlsafe_b64encode(random).decode()


def _to_bytes(row: Row) -> bytes:
    return json.dumps(row).encode()

"""The list of what is in an image: written beside it, and a lock to build it again from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pgstead.errors import SpecError

HEADER = "# What is in a pgstead image. `pgstead image build --lock FILE` builds it again.\n"
_SINGLE = ("suite", "size", "time")


@dataclass(frozen=True, slots=True)
class Lock:
    """An image's contents.

    `size` is in GiB and `time` in seconds since 1970, what files made by the build are dated;
    `wanted` are the packages that were asked for; `packages` (Debian's) and `python` (those of
    Patroni's venv) give every name its version.
    """

    suite: str
    size: int
    time: int
    wanted: tuple[str, ...]
    packages: Mapping[str, str] = field(default_factory=dict)
    python: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The file's text: a word that says what a line is, then a name, then a version."""
        lines = [f"suite {self.suite}", f"size {self.size}", f"time {self.time}"]
        lines += [f"wanted {name}" for name in self.wanted]
        lines += _versions("package", self.packages)
        lines += _versions("python", self.python)
        return HEADER + "\n".join(lines) + "\n"

    def pins(self) -> str:
        """Preferences for apt that let in these packages in these versions, and no others."""
        nothing_else = "Package: *\nPin: version *\nPin-Priority: -1\n"
        pins = (
            f"Package: {name}\nPin: version {version}\nPin-Priority: 1001\n"
            for name, version in sorted(self.packages.items())
        )
        return "\n".join([*pins, nothing_else])

    def constraints(self) -> list[str]:
        """Requirements for pip that name exactly these versions."""
        return [f"{name}=={version}" for name, version in sorted(self.python.items())]


def read_lock(path: Path) -> Lock:
    """The lock in a file. Raises `SpecError`, with the line, if it is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SpecError(
            f"the lock file {path} cannot be read: {why}",
            hint="it is the NAME.packages that `pgstead image build` wrote beside an image",
        ) from error
    return parse_lock(text, str(path))


def parse_lock(text: str, where: str = "lock file") -> Lock:
    """The lock that a text says. Raises `SpecError`, with the line, if it is none."""
    reading = _Reading(where)
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if words:
            reading.take(words, number)
    return reading.lock()


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """In words, how what was found differs from what was wanted; empty if it does not."""
    said: Callable[[str], str] = lambda name: (  # noqa: E731 - one expression, used once
        f"{name}: {found.get(name, 'absent')} instead of {wanted.get(name, 'nothing')}"
    )
    return [
        said(name)
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]


def _versions(kind: str, versions: Mapping[str, str]) -> Iterable[str]:
    return (f"{kind} {name} {version}" for name, version in sorted(versions.items()))


class _Reading:
    """A lock file, line by line."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._single: dict[str, str] = {}
        self._wanted: list[str] = []
        self._versions: dict[str, dict[str, str]] = {"package": {}, "python": {}}

    def take(self, words: list[str], number: int) -> None:
        match words:
            case [("suite" | "size" | "time") as key, value]:
                if key != "suite" and not value.isdigit():
                    raise self._wrong(number, f"{key} must be a whole number, not {value!r}")
                self._single[key] = value
            case ["wanted", name]:
                self._wanted.append(name)
            case [("package" | "python") as kind, name, version]:
                self._versions[kind][name] = version
            case _:
                raise self._wrong(number, f"{' '.join(words)!r} is not understood")

    def lock(self) -> Lock:
        lacking = [key for key in _SINGLE if key not in self._single]
        if lacking or not self._wanted or not self._versions["package"]:
            what = ", ".join([*lacking] or ["packages"])
            raise SpecError(
                f"{self._where} is no lock file: it lacks {what}",
                hint="it is the NAME.packages that `pgstead image build` wrote beside an image",
            )
        return Lock(
            suite=self._single["suite"],
            size=int(self._single["size"]),
            time=int(self._single["time"]),
            wanted=tuple(self._wanted),
            packages=self._versions["package"],
            python=self._versions["python"],
        )

    def _wrong(self, number: int, why: str) -> SpecError:
        return SpecError(f"{self._where}, line {number}: {why}")

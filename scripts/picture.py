"""Draw a terminal session, from a real run, as docs/terminal.svg.

    picture.py [options] [--] 'pgstead up stack.yaml --yes' 'pgstead status stack.yaml'

Each command runs under a pseudo-terminal, so that it shows what a person would see.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import re
import shlex
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = (
    "pgstead up examples/quickstart.yaml --yes",
    "pgstead status examples/quickstart.yaml",
)
_CONTROL = re.compile(r"\r|\n|\x1b\[(?P<number>\d*)(?P<action>[AK])|\x1b\[\?\d+[hl]|\x1b[()]B")


class Screen:
    """The few movements that live progress makes: up a line, clear a line, back to its start.

    Colours stay in the lines as they came. A screen without end: nothing scrolls away.
    """

    def __init__(self) -> None:
        self.lines = [""]
        self.row = 0
        self._rewrite = False

    def feed(self, output: str) -> None:
        """Take everything that a program wrote."""
        place = 0
        for control in _CONTROL.finditer(output):
            self._write(output[place : control.start()])
            self._move(control)
            place = control.end()
        self._write(output[place:])

    def _write(self, text: str) -> None:
        if not text:
            return
        kept = "" if self._rewrite else self.lines[self.row]
        self.lines[self.row] = kept + text
        self._rewrite = False

    def _move(self, control: re.Match[str]) -> None:
        if control[0] == "\r":
            self._rewrite = True
        elif control[0] == "\n":
            self.row += 1
            self._rewrite = False
            if self.row == len(self.lines):
                self.lines.append("")
        elif control["action"] == "A":
            self.row = max(0, self.row - int(control["number"] or 1))
        elif control["action"] == "K":
            self.lines[self.row] = ""


def run(command: str, *, folder: Path, width: int) -> str:
    """What the command writes to a terminal of that width; raises CalledProcessError."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    without = ("NO_COLOR", "CI", "COLUMNS")
    environment = {key: value for key, value in os.environ.items() if key not in without}
    environment |= {"PATH": search, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    argv = shlex.split(command)
    with subprocess.Popen(
        argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment
    ) as process:
        os.close(theirs)
        written = b"".join(_read(ours))
    os.close(ours)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv, output=written.decode())
    return written.decode()


def _read(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError as error:
            if error.errno == errno.EIO:  # Linux: every process has closed its end
                return
            raise
        if not chunk:
            return
        yield chunk


def session(commands: list[str], *, folder: Path, width: int) -> list[str]:
    """The lines of a terminal in which those commands were typed, one after another."""
    lines: list[str] = []
    for command in commands:
        screen = Screen()
        screen.feed(run(command, folder=folder, width=width))
        lines += [f"\x1b[1;32m$\x1b[0m {command}", *screen.lines]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def draw(lines: list[str], *, title: str, width: int) -> str:
    """The picture of those lines."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(
            record=True, width=width, file=nowhere, force_terminal=True, color_system="truecolor"
        )
        for line in lines:
            console.print(Text.from_ansi(line), soft_wrap=False, highlight=False)
        return console.export_svg(title=title, unique_id="pgstead")


def main() -> None:
    """Run, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("commands", nargs="*", default=list(COMMANDS))
    parser.add_argument("--output", "-o", type=Path, default=ROOT / "docs" / "terminal.svg")
    parser.add_argument("--folder", type=Path, default=ROOT, help="where the commands run")
    parser.add_argument("--title", default="pgstead")
    parser.add_argument("--width", type=int, default=100)
    parser.add_argument(
        "--replace", nargs=2, action="append", default=[], metavar=("TEXT", "BY"),
        help="what a reader should see instead, such as a shorter path",
    )  # fmt: skip
    given = parser.parse_args()
    try:
        lines = session(given.commands, folder=given.folder, width=given.width)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{shlex.join(error.cmd)} ended with {error.returncode}:\n{error.output}")
    for text, by in given.replace:
        lines = [line.replace(text, by) for line in lines]
    given.output.write_text(draw(lines, title=given.title, width=given.width), encoding="utf-8")
    print(given.output)


if __name__ == "__main__":
    main()

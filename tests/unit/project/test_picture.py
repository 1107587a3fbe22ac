from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def picture(script: Callable[[str], Any]) -> Any:
    return script("scripts/picture.py")


def lines(picture: Any, output: str) -> list[str]:
    screen = picture.Screen()
    screen.feed(output)
    return list(screen.lines)


def test_plain_lines_stay(picture: Any) -> None:
    assert lines(picture, "one\r\ntwo\r\n") == ["one", "two", ""]


def test_progress_is_rewritten_in_its_place(picture: Any) -> None:
    first = "etcd-1  33%\r\netcd-2  0%"
    again = "\r\x1b[2K\x1b[1A\x1b[2Ketcd-1  100%\r\netcd-2  100%\r\n"
    assert lines(picture, first + again) == ["etcd-1  100%", "etcd-2  100%", ""]


def test_a_carriage_return_rewrites_the_line(picture: Any) -> None:
    assert lines(picture, "10 %\r20 %\r\n") == ["20 %", ""]


def test_colours_stay_and_the_cursor_s_looks_go(picture: Any) -> None:
    assert lines(picture, "\x1b[?25l\x1b[32mgreen\x1b[0m\x1b[?25h") == ["\x1b[32mgreen\x1b[0m"]


def test_a_command_sees_a_terminal_of_the_width_asked_for(picture: Any, tmp_path: Path) -> None:
    told = "import os, sys; print(sys.stdout.isatty(), os.get_terminal_size().columns)"
    shown = picture.session([f'{sys.executable} -c "{told}"'], folder=tmp_path, width=71)
    assert shown[1:] == ["True 71"]


def test_a_command_that_fails_makes_no_picture(picture: Any, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        picture.run(
            f'{sys.executable} -c "print(1); raise SystemExit(3)"', folder=tmp_path, width=80
        )
    assert failed.value.returncode == 3
    assert failed.value.output == "1\r\n"


def test_the_picture_shows_the_lines(picture: Any) -> None:
    drawn = picture.draw(["\x1b[1;32m$\x1b[0m pgstead status"], title="a title", width=40)
    assert drawn.startswith("<svg")
    assert "pgstead&#160;status" in drawn
    assert "a title" in drawn.replace("&#160;", " ")

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pgstead.errors import CommandFailed, MissingSoftware
from pgstead.run import run


def test_what_a_program_wrote_is_given() -> None:
    done = run(["/bin/sh", "-c", "cat; echo oops >&2; exit 3"], stdin="hello", check=False)
    assert (done.code, done.stdout, done.stderr) == (3, "hello", "oops\n")


def test_a_failure_shows_a_command_to_paste_and_the_end_of_standard_error() -> None:
    script = "for i in $(seq 40); do echo line $i >&2; done; exit 4"
    with pytest.raises(CommandFailed) as caught:
        run(["/bin/sh", "-c", script, "it's"])
    message = caught.value.message
    assert message.startswith("/bin/sh -c 'for i in")
    assert """'it'"'"'s' failed (exit code 4): line 26\n""" in message
    assert message.endswith("line 40")


def test_what_it_reads_on_standard_input_stands_in_no_error() -> None:
    with pytest.raises(CommandFailed) as caught:
        run(["/bin/sh", "-c", "exit 1"], stdin="secret")
    assert "secret" not in caught.value.message


def test_a_program_that_is_not_there_is_missing_software() -> None:
    with pytest.raises(MissingSoftware, match="/no/such/program is not installed"):
        run(["/no/such/program"])


def test_a_program_that_may_not_be_run_is_told_of(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(CommandFailed, match="could not be started: Permission denied"):
        run([program])


def test_a_signal_is_told_of() -> None:
    with pytest.raises(CommandFailed, match=r"\(signal 9\): it wrote nothing"):
        run(["/bin/sh", "-c", "kill -9 $$"])


def test_a_program_that_does_not_end_is_killed() -> None:
    with pytest.raises(CommandFailed, match=r"sleep 60 did not end within 0\.1 s"):
        run(["/bin/sleep", "60"], timeout=0.1)


def test_the_environment_is_what_is_given() -> None:
    code = "import os; print(sorted(key for key in os.environ if key != 'LC_CTYPE'))"
    assert run([sys.executable, "-c", code], env={"ONLY": "1"}).stdout == "['ONLY']\n"


def test_output_can_go_to_a_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("ab") as output:
        run(["/bin/sh", "-c", "echo one; echo two >&2"], output=output, cwd=tmp_path)
    assert log.read_text() == "one\ntwo\n"


def test_an_unknown_user_is_told_of() -> None:
    with pytest.raises(MissingSoftware, match="no user 'nobody-of-that-name'"):
        run(["/bin/true"], user="nobody-of-that-name")

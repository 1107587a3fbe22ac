"""Ctrl-C during work that is no apply."""

import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pgstead.errors import Interrupted, NotReady
from pgstead.operations.stopping import stoppable
from pgstead.waiting import interruption, wait


def never() -> None:
    """Wait in a thread, as those who stop several machines do, for what does not come."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(wait, lambda: None, deadline=60, what="nothing").result()


def test_every_wait_ends_and_the_words_are_those_of_the_work() -> None:
    told: list[str] = []

    def work() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        never()

    with pytest.raises(Interrupted, match="half of it") as caught:
        stoppable(work, message="half of it", hint="again", tell=lambda: told.append("stopping"))
    assert (caught.value.hint, caught.value.exit_code) == ("again", 130)
    assert told == ["stopping"]
    assert not interruption.is_set()


def test_a_signal_that_the_kernel_gives_to_another_thread_is_heard() -> None:
    main = threading.main_thread().ident or 0
    heard: list[bool] = []

    def asleep() -> bool:
        return sys._current_frames()[main].f_code is threading.Condition.wait.__code__

    def work() -> None:
        wait(asleep, deadline=10, what="the main thread to wait", successes=3)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        with pytest.raises(Interrupted):
            wait(lambda: None, deadline=20, what="nothing")
        heard.append(True)

    with pytest.raises(Interrupted):
        stoppable(work, message="half of it", hint="again")
    assert heard


def test_work_ends_though_nobody_can_be_told() -> None:
    def tell() -> None:
        raise BrokenPipeError

    def work() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        never()

    with pytest.raises(Interrupted):
        stoppable(work, message="half of it", hint="again", tell=tell)


def test_what_it_gives_and_raises_passes_through() -> None:
    assert stoppable(lambda: 42, message="", hint="") == 42
    with pytest.raises(NotReady):
        stoppable(lambda: wait(lambda: None, deadline=0, what="it"), message="", hint="")

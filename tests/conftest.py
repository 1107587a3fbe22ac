"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    """Hear Ctrl-C, and have it heard by what the tests start.

    Whoever runs the tests in a shell's background has it ignored, which children inherit.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)

"""Ctrl-C, SIGTERM and SIGHUP as a wish to stop: for a training in order, elsewhere by an exception."""

import contextlib
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

_HANGUP = getattr(signal, "SIGHUP", None)  # which Windows has not


class StopOnSignal:
    """While the block runs, a signal lets the agent's `fit` end in order, a second one ends the process at once.

    The signals are SIGINT, SIGTERM and SIGHUP. `signal` is the number of the one that came, None if none did. Only a
    main thread can have this; in another one signals do what they did before.
    """

    def __init__(self, agent: Any) -> None:
        self.agent = agent
        self.signal: int | None = None
        self._handled = _handled(self._stop, signal.SIGINT, signal.SIGTERM, _HANGUP)

    def __enter__(self) -> "StopOnSignal":
        self.agent.stop_training = self.agent.did_abort = False
        self._handled.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handled.__exit__(None, None, None)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if number == _HANGUP:
            _leave_terminal()
        if self.signal is not None:
            if number == _HANGUP:  # a terminal that closes sends it twice: by itself and by its shell
                return
            os._exit(128 + number)  # files appear whole or not at all, so nothing can be half written
        self.signal = number
        self.agent.stop_training = True
        self.agent.did_abort = True


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """While the block runs, Ctrl-C raises KeyboardInterrupt, SIGTERM and SIGHUP SystemExit: files are tidied up."""
    with contextlib.ExitStack() as stack:
        if signal.getsignal(signal.SIGINT) is _leave:
            stack.enter_context(_handled(signal.default_int_handler, signal.SIGINT))
        stack.enter_context(_handled(_exit, signal.SIGTERM, _HANGUP))
        yield


def leave_quietly() -> None:
    """Let Ctrl-C end the process with one line; for the top of a script, whose imports take a moment."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


@contextlib.contextmanager
def _handled(handler: Any, *numbers: int | None) -> Iterator[None]:
    """Let `handler` have the signals while the block runs; outside the main thread leave them alone."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            # nohup ignores hangups on purpose.
            if number is not None and not (number == _HANGUP and signal.getsignal(number) is signal.SIG_IGN):
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _exit(number: int, frame: FrameType | None) -> None:
    if number == _HANGUP:
        _leave_terminal()
    sys.exit(128 + number)


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"stopped by Ctrl-C\n")
    os._exit(128 + number)


def _leave_terminal() -> None:
    """Send what is printed from now on nowhere: writing to a terminal that has closed fails."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode):
                os.dup2(nowhere, stream)
    os.close(nowhere)

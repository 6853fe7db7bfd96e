"""Ctrl-C, SIGTERM and SIGHUP as requests to stop: a training ends in order, anything else by an exception."""

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_is_pressed = False  # Ctrl-C, since `raised` began
_HANGUP = getattr(signal, "SIGHUP", None)  # Windows does not have it


class StopOnSignal(contextlib.ExitStack):
    """While the block runs, a signal makes the agent's `fit` end in order, and a second one ends the process at once.

    The signals are SIGINT, SIGTERM and SIGHUP. `signal` is the number of the one received, None before that. This works
    in the main thread only; in any other, signals do what they did before.
    """

    def __init__(self, agent: Any) -> None:
        super().__init__()
        self.agent = agent
        self.signal: int | None = None

    def __enter__(self) -> "StopOnSignal":
        global _is_pressed
        _is_pressed = False
        self.agent.stop_training = self.agent.did_abort = False
        self.enter_context(_handled(self._stop, signal.SIGINT, signal.SIGTERM, _HANGUP))
        return self

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if number == _HANGUP:
            _leave_terminal()
        if self.signal is not None:
            if number == _HANGUP:  # a closing terminal sends it twice: itself, and through its shell
                return
            os._exit(128 + number)  # files appear whole or not at all, so nothing can be half written
        self.signal = number
        self.agent.stop_training = self.agent.did_abort = True


class Stopped(SystemExit):
    """The end of the program that a signal asks for, other than one that somebody's own code asks for."""


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """While the block runs, signals raise KeyboardInterrupt (Ctrl-C) or `Stopped`, so that files are tidied up.

    A KeyboardInterrupt that no signal raised is a failure, and becomes a RuntimeError.
    """
    global _is_pressed
    _is_pressed = False
    with contextlib.ExitStack() as stack:
        if signal.getsignal(signal.SIGINT) in (_leave, signal.default_int_handler):
            stack.enter_context(_handled(_interrupt, signal.SIGINT))
        stack.enter_context(_handled(_exit, signal.SIGTERM, _HANGUP))
        try:
            yield
        except KeyboardInterrupt as error:
            if is_ctrl_c():
                raise
            what = "KeyboardInterrupt, although nobody pressed Ctrl-C"
            raise RuntimeError(what).with_traceback(error.__traceback__) from None


def is_ctrl_c() -> bool:
    """Return whether a KeyboardInterrupt may come from Ctrl-C: not if that is ignored, or handled here and not seen."""
    handler = signal.getsignal(signal.SIGINT)
    return _is_pressed or not (handler == signal.SIG_IGN or getattr(handler, "__module__", None) == __name__)


def leave_quietly() -> None:
    """Make Ctrl-C end the process with one line; for the top of a script, whose imports take a moment."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


@contextlib.contextmanager
def _handled(handler: Any, *numbers: int | None) -> Iterator[None]:
    """Let `handler` handle the signals while the block runs; outside the main thread, leave them alone."""
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


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _is_pressed
    _is_pressed = True
    raise KeyboardInterrupt


def _exit(number: int, frame: FrameType | None) -> None:
    if number == _HANGUP:
        _leave_terminal()
    raise Stopped(128 + number)


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"stopped by Ctrl-C\n")
    os._exit(128 + number)


def _leave_terminal() -> None:
    """Discard what is printed from now on: writing to a terminal that has been closed fails."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode):
                os.dup2(nowhere, stream)
    os.close(nowhere)

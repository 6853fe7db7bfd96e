"""Ctrl-C and SIGTERM as a wish to stop, not as an exception in the middle of a step."""

import os
import signal
from types import FrameType, TracebackType
from typing import Any


class StopOnSignal:
    """While the block runs, SIGINT or SIGTERM lets the agent's `fit` end in order, a second one the process at once.

    `signal` is the number of the signal that came, None if none did. Only a main thread can have this.
    """

    def __init__(self, agent: Any) -> None:
        self.agent = agent
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopOnSignal":
        self.agent.stop_training = self.agent.did_abort = False
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(128 + number)  # files appear whole or not at all, so that nothing can be half written
        self.signal = number
        self.agent.stop_training = True
        self.agent.did_abort = True

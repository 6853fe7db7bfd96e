"""What a command writes to the screen: errors and notes in one line each, whatever the streams are."""

import contextlib
import io
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

from kerasrl.diagnosis import describe, failing_component, is_unexpected
from kerasrl.errors import Note, UserError
from kerasrl.signals import Stopped

DEBUG = "--debug"


@contextlib.contextmanager
def errors_on_one_line(debug: bool) -> Iterator[None]:
    """End the program with a line on stderr: status 2 for a wrong call, 1 for a failure, 130 for Ctrl-C.

    With `debug` the traceback comes before it.
    """
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
    except SystemExit as exit:
        culprit = None if isinstance(exit, Stopped) else failing_component(exit)
        if culprit is None:
            raise
        print(f"error: {culprit} called sys.exit({exit.code!r})", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and failing_component(error) is None:
            # `| head` has read enough; without this, Python complains again as it exits
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        tell(error, debug)
        sys.exit(2 if isinstance(error, UserError) else 1)


def tell(error: Exception, debug: bool) -> None:
    """Print an error as a line on stderr; with `debug`, its traceback first."""
    hint = "" if debug or not is_unexpected(error) else f"; {DEBUG} shows the whole traceback"
    if debug:
        traceback.print_exception(error)
    print(f"error: {describe(error)}{hint}", file=sys.stderr)


@contextlib.contextmanager
def notes_on_one_line() -> Iterator[None]:
    """Print each `Note` as a line on stderr; leave other warnings as they are."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Any, category: type[Warning], *place: Any) -> None:
            if issubclass(category, Note):
                from tqdm import tqdm  # here, so that --help does not wait for it

                tqdm.write(f"note: {message}", file=sys.stderr)  # without breaking a live line
            else:
                others(message, category, *place)

        warnings.showwarning = show  # type: ignore[assignment]
        warnings.simplefilter("always", Note)
        yield


def prepare_streams() -> None:
    """Discard output that nobody reads, and write characters that the stream's encoding lacks as escapes."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # closed by `>&-`; no file may take its place
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Line by line even into a file, so that a killed run leaves its seed there.
            stream.reconfigure(line_buffering=True, errors="backslashreplace")

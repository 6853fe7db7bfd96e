"""Runs command lines of Python in forks of processes that have imported TensorFlow, which takes seconds.

python fork_server.py PLAIN LEGACY

The arguments are the numbers of two sockets that listen. Behind the first nothing is translated, as in `python SCRIPT`;
behind the second everything is imported as for `python -m kerasrl SCRIPT`. Each line from a connection is a request in
JSON: the folder to run in, the command as after `python`, environment variables to set (or to remove, if null), files
for output and errors, code to run before, and what is wanted of what leaving_out.py leaves out. The answer is the
number of the process; to a number in place of a request, the exit status of that process. All ends with standard input.
"""

import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback
import warnings
from pathlib import Path

from kerasrl.compat.quiet import quiet_stderr


def import_plainly():
    import kerasrl.legacy.running.import_hooks  # `-m kerasrl --migrate` finds what it imports, as it was

    kerasrl.legacy.running.import_hooks.deactivate()
    from kerasrl import DQNAgent, SequentialMemory, environments  # noqa: F401

    # isort: split

    import gym  # noqa: F401
    import leaving_out  # noqa: F401
    import rl.agents
    import rl.callbacks  # noqa: F401

    from kerasrl.tools.plot.drawing import styled

    with styled():
        import matplotlib.backends.backend_agg  # noqa: F401


def import_translated():
    import kerasrl.legacy  # noqa: F401

    # isort: split

    import gym  # noqa: F401
    import keras.models  # noqa: F401
    import leaving_out  # noqa: F401
    import rl.agents
    import rl.callbacks  # noqa: F401
    import tensorflow.keras.layers  # noqa: F401


def ready(listeners):
    """Yield whichever of the listeners somebody connects to; leave where standard input ends."""
    while True:
        able, _, _ = select.select([sys.stdin, *listeners], [], [])
        if sys.stdin in able:
            os._exit(0)
        yield from able


def serve(listener):
    """Answer each connection in a fork of its own."""
    for _ in ready([listener]):
        connection, _ = listener.accept()
        if not os.fork():
            answer(connection)
        connection.close()


def answer(connection):
    with connection.makefile("rw") as stream:
        for line in iter(stream.readline, ""):
            request = json.loads(line)
            if isinstance(request, int):
                result = os.waitstatus_to_exitcode(os.waitpid(request, 0)[1])
            else:
                result = os.fork() or run_and_exit(*request)
            print(result, file=stream, flush=True)
    os._exit(0)


def run_and_exit(folder, command, environment, files, before, wanted):
    from leaving_out import leave_out

    prepare(folder, environment, files)
    leave_out(wanted)
    exec(before, {})
    status = status_of(run, command, environment)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def prepare(folder, environment, files):
    """Make this process what a new one would be."""
    os.chdir(folder)
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in zip((1, 2), files, strict=True):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)


def run(command, environment):
    """Run what is given as after `python`."""
    path = environment.get("PYTHONPATH", "").split(os.pathsep) if environment.get("PYTHONPATH") else []
    if command[0] == "-m":
        sys.path[:1] = ["", *path]
        sys.argv = command[1:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    elif command[0] == "-c":
        sys.path[:1] = ["", *path]
        sys.argv = ["-c", *command[2:]]
        exec(command[1], vars(sys.modules["__main__"]))
    else:
        sys.path[:1] = [str(Path(command[0]).resolve().parent), *path]
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")


def status_of(call, *arguments):
    """Return the exit status of a call, after what is printed where Python ends with a failure."""
    try:
        call(*arguments)
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print(stop.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


plain, legacy = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
waiting = {plain: import_plainly, legacy: import_translated}
gc.disable()
for listener in ready(waiting):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # as both set it
    with quiet_stderr():
        import tensorflow  # noqa: F401  # once, for both
    import_for_it = waiting.pop(listener)
    if not os.fork():
        import_for_it()
        gc.freeze()  # forks share these pages until somebody writes to them
        gc.enable()
        serve(listener)
    listener.close()

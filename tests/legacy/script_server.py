"""Runs `python -m kerasrl ARGUMENTS` in a fork for each line of JSON, without the seconds of importing TensorFlow.

With the argument `plain` it runs `python ARGUMENTS`, where nothing is translated. A line holds the folder, the
arguments and the environment variables to change. Output and errors go to the files `.output` and `.errors` in the
folder; the answer is the exit status.
"""
# ruff: noqa: E402

import sys

import kerasrl.legacy

PLAIN = sys.argv[1:] == ["plain"]
if PLAIN:  # but `-m kerasrl --migrate` finds what it imports, as it was
    kerasrl.legacy.hooks.deactivate()
    import kerasrl.dqn

# isort: split

import gym  # noqa: F401
import keras.models  # noqa: F401
import rl.agents
import rl.callbacks  # noqa: F401
import tensorflow.keras.layers  # noqa: F401

# isort: split

import json
import os
import runpy
import traceback
import warnings

for line in sys.stdin:
    folder, arguments, environment = json.loads(line)
    process = os.fork()
    if not process:
        os.chdir(folder)
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        for number, name in ((1, ".output"), (2, ".errors")):
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv = arguments if PLAIN else ["kerasrl", *arguments]
        status = 0
        try:
            if PLAIN:
                warnings.simplefilter("ignore")
                sys.path[:1] = [folder, *environment.get("PYTHONPATH", "").split(os.pathsep)]
                if arguments[:2] == ["-m", "kerasrl"]:
                    sys.argv = arguments[1:]
                    runpy.run_module("kerasrl", run_name="__main__", alter_sys=True)
                else:
                    runpy.run_path(arguments[0], run_name="__main__")
            else:
                runpy.run_module("kerasrl", run_name="__main__", alter_sys=True)
        except SystemExit as stop:
            status = stop.code
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 0 if status is None else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)

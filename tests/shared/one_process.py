"""Several commands in one process, which imports TensorFlow once for all."""

import json

CODE = """
import json, runpy, sys
for command in json.loads(sys.argv[1]):
    is_module = command[0] == "-m"
    sys.argv[1:] = command[1 + is_module:]
    try:
        if is_module:
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(command[0], run_name="__main__")
    except SystemExit as stop:
        if stop.code:
            raise
"""


def one_after_another(*commands):
    """Return what to type after `python` to run commands, as they are typed there, until one fails."""
    return ["-c", CODE, json.dumps(commands, default=str, ensure_ascii=False)]

"""Starts train.py in a process of its own for each line of arguments (JSON), without the seconds of importing it.

Answers with the number of the process; on an empty line waits for the last one and answers with its exit status.
"""

from kerasrl.compat import keras_rl  # noqa: F401  # before the imports that it makes work

# isort: split

import json
import os
import sys

import keras  # noqa: F401

import callbacks  # noqa: F401
import model  # noqa: F401
import train

process = 0
for line in sys.stdin:
    if line.strip():
        process = os.fork()
        if not process:
            sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
            try:
                status = train.main(json.loads(line))
            except SystemExit as stop:
                status = stop.code
            os._exit(status)
        print(process, flush=True)
    else:
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)

"""HDF5 files that may come from strangers, read by a process of its own: see `kerasrl.storage.hdf5_child`."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from kerasrl.errors import WeightsError
from kerasrl.reading import parse_json

_CHILD = Path(__file__).with_name("hdf5_child.py")
# The child finds libraries where this process does, but nothing in the current folder.
_START = "import runpy, sys; sys.path[:] = sys.argv[2:]; runpy.run_path(sys.argv[1], run_name='__main__')"
_LONGEST = 60  # seconds; where the system can limit it, the child has a stricter limit of its own


def read_hdf5(name: str, content: bytes) -> tuple[list[dict[str, np.ndarray]], str | None, str | None, bytes | None]:
    """Return each layer's arrays by name, the texts of `kerasrl` and `kerasrl_together`, the bytes of `kerasrl_held`.

    Texts and bytes are None if there are none.

    Raises:
        WeightsError: The content is damaged, or is not what Keras writes.
    """
    head, _, data = _answer(name, content).partition(b"\n")
    answer = parse_json(head)
    if answer.get("refused") == "it holds none":
        raise WeightsError(f"{name} is HDF5, but holds no weights that Keras-RL wrote")
    if "refused" in answer:
        raise WeightsError(f"{name} holds no weights as Keras writes them: {answer['refused']}; use another file")
    if "damaged" in answer:
        raise WeightsError(f"{name} is damaged or incomplete ({answer['damaged']}); use another file")
    layers: list[dict[str, np.ndarray]] = []
    start = 0
    for listed in answer["layers"]:
        layers.append({})
        for weight, kind, shape in listed:
            array = np.frombuffer(data, kind, math.prod(shape), start).reshape(shape)
            layers[-1][weight] = array
            start += array.nbytes
    held = None if answer["held"] is None else data[start : start + answer["held"]]
    return [layer for layer in layers if layer], answer["metadata"], answer["together"], held


def _answer(name: str, content: bytes) -> bytes:
    command = [sys.executable, "-I", "-S", "-c", _START, str(_CHILD), *filter(None, sys.path)]
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # several would take memory
    try:
        child = subprocess.run(command, input=content, capture_output=True, env=one_thread, timeout=_LONGEST)
    except subprocess.TimeoutExpired:
        raise WeightsError(f"{name} is damaged (reading it never ends); use another file") from None
    if child.returncode != 0 or not child.stdout:
        last = child.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        why = last if "ModuleNotFound" in last else "reading it fails, or takes too much time or memory"
        raise WeightsError(f"{name} is damaged ({why}); use another file")
    return child.stdout

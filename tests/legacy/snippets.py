"""Run many small scripts through the door in one process, each as a module of one script's own."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

MAIN = """
import importlib, json, sys, warnings

warnings.simplefilter("error")
answers = {}
for name in sys.argv[1:]:
    try:
        answers[name] = repr(importlib.import_module(name).answer)
    except Exception as error:
        answers[name] = f"{type(error).__name__}: {error}"
print(json.dumps(answers))
"""


def run(folder, source, *arguments, options=(), **kwargs):
    """Run a script through the door."""
    (folder / "script.py").write_text(source)
    command = [sys.executable, "-m", "kerasrl", *options, "script.py", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder), "SDL_VIDEODRIVER": "dummy"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, **kwargs)


def answers(folder, snippets):
    """Run snippets, each of which leaves `answer`.

    Returns:
        The answers' `repr` by name, and what was written to stderr.
    """
    for name, source in snippets.items():
        (folder / f"{name}.py").write_text(source)
    result = run(folder, MAIN, *snippets)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1]), result.stderr

"""`python -m kerasrl SCRIPT` runs a script as `python SCRIPT` does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def python(folder, *arguments, stdin="", **environment):
    """Run Python in a folder; return exit status, output and errors."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        input=stdin,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


SAME = {
    "what a script sees of itself": """
        import sys
        print(__name__, __file__, sys.argv, sys.path[0], sys.modules["__main__"].__name__, __doc__)
        print(sys.modules["__main__"].__dict__ is globals(), sorted(name for name in globals() if name[:2] != "__"))
    """,
    "its docstring": '''"""What it does."""\nprint(__doc__)''',
    "standard input": "import sys; print(sys.stdin.read().upper()); print(input.__name__)",
    "its own exit status": "import sys; print('done'); sys.exit(3)",
    "a message as its exit": "raise SystemExit('not today')",
    "its own failure": "def f(x):\n    return 1 / x\n\nprint('before')\nf(0)",
    "a failure in its own module": "import own\nown.fail()",
    "a missing module": "import there_is_no_such_module",
    "a mistake in its text": "print('never')\nif True\n    pass",
    "an argument parser": """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--mode", choices=["train", "test"])
        print(parser.parse_args().mode)
    """,
    "an import from its folder": "import own; print(own.__name__, own.value, own.__file__)",
    "a future statement": "from __future__ import annotations\ndef f(x: not_defined): pass\nprint(f.__annotations__)",
    "its source": "import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))",
    "what runs at the exit": "import atexit; atexit.register(print, 'bye'); print('hello')",
    "a class that can be pickled": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))))",
    "reset and step of other things": """
        class Clock:
            def step(self): return 1, 2, 3, 4
            def reset(self, value): return value, {}
        a, b, c, d = Clock().step()
        now = Clock().reset(5)
        print(a, b, c, d, now)
    """,
}


@pytest.mark.long
@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_a_script_with_nothing_old_runs_as_with_python(text, tmp_path):
    lines = text.strip("\n").splitlines()
    margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip()) if text.startswith("\n") else 0
    (tmp_path / "script.py").write_text("\n".join(line[margin:] for line in lines))
    (tmp_path / "own.py").write_text("value = 4\ndef fail():\n    raise KeyError('own')\n")
    call = ("script.py", "--mode", "train")
    expected = python(tmp_path, *call, stdin="typed\n", PYTHONDONTWRITEBYTECODE="1")
    assert python(tmp_path, "-m", "kerasrl", *call, stdin="typed\n") == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.py", "script.py"]


def test_nothing_heavy_is_imported_before_the_script_asks(tmp_path):
    (tmp_path / "script.py").write_text(
        "import sys\nprint(sorted({'numpy', 'gym', 'keras', 'tensorflow', 'rl', 'pygame', 'h5py'} & set(sys.modules)))"
    )
    assert python(tmp_path, "-m", "kerasrl", "script.py") == (0, "[]\n", "")


@pytest.mark.parametrize("arguments", [["nothing.py"], ["."], []])
def test_no_script_is_told_in_a_line(arguments, tmp_path):
    status, output, errors = python(tmp_path, "-m", "kerasrl", *arguments)
    assert (status, output) == (2, "")
    assert "Traceback" not in errors
    assert (arguments or ["SCRIPT"])[0] in errors.splitlines()[-1]


OLD = "import numpy as np\n\nprint(np.float(1), np.float_(2))\nprint(np.float(3))\n"


def test_what_was_translated_is_told_at_the_end_with_its_line(said, tmp_path):
    (tmp_path / "script.py").write_text(OLD + "import helper\n1 / 0\n")
    (tmp_path / "helper.py").write_text("import numpy\ntype = numpy.object\n")
    status, output, errors = python(tmp_path, "-m", "kerasrl", "script.py")
    assert (status, output) == (1, "1.0 2.0\n3.0\n")
    end = said("\n".join(errors.splitlines()[-5:]))
    assert end.startswith("ZeroDivisionError: ") and "helper.py, line 2" in end


@pytest.mark.parametrize(("option", "told"), [("--quiet", []), ("--verbose", ["line 3: np.float -> float"])])
def test_how_much_is_told(option, told, tmp_path):
    (tmp_path / "script.py").write_text(OLD + "import os; os._exit(0)  # what is told at the end is lost")
    status, _, errors = python(tmp_path, "-m", "kerasrl", option, "script.py")
    assert (status, errors.splitlines()[:1]) == (0, told)


@pytest.mark.long
def test_libraries_do_not_see_old_names(tmp_path):
    (tmp_path / "script.py").write_text("import numpy as np, library\nprint(np.float_, library.found)\n")
    library = tmp_path / "site-packages"
    library.mkdir()
    (library / "library.py").write_text("import numpy\nfound = hasattr(numpy, 'float_')\n")
    _, output, _ = python(tmp_path, "-m", "kerasrl", "script.py", PYTHONPATH=f"{ROOT}{os.pathsep}{library}")
    assert output == "<class 'numpy.float64'> False\n"


def test_the_first_line_import_translates_as_well(tmp_path):
    (tmp_path / "script.py").write_text("import kerasrl.legacy\n" + OLD)
    status, output, errors = python(tmp_path, "script.py")
    assert (status, output) == (0, "1.0 2.0\n3.0\n")
    assert errors.splitlines()[0] == "line 4: np.float -> float"


def test_a_plain_import_translates_nothing(tmp_path):
    (tmp_path / "script.py").write_text("import kerasrl, numpy, sys\nprint(hasattr(numpy, 'float_'), sys.meta_path)\n")
    status, output, _ = python(tmp_path, "script.py")
    assert status == 0
    assert "False" in output
    assert "OldNames" not in output


def test_ctrl_c_ends_a_script_as_python_does(tmp_path):
    (tmp_path / "script.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"
    )
    status, _, errors = python(tmp_path, "-m", "kerasrl", "script.py")
    assert status in (130, -signal.SIGINT)
    assert errors.splitlines()[-1] == "KeyboardInterrupt"


def test_a_command_that_is_mistyped_is_recognised(run_in, tmp_path):
    ran = run_in(tmp_path, "trian")
    assert (ran.status, ran.output, len(ran.errors)) == (2, [], 1)
    assert "command train?" in ran.errors[0]


OWN_NAMES = """
import ast, random, gym, json.own as own
from ast import x
import inspect, textwrap
import helper
env = gym.make("CartPole-v0")
print(ast.x, x, random.mine, own.y, helper.x, textwrap.dedent(" fine"), inspect.getsource(helper.f).strip()[:3])
"""


@pytest.mark.parametrize("folder", ["", "sub"])
def test_modules_beside_a_script_may_be_called_like_pythons_own(folder, tmp_path):
    place = tmp_path / folder
    (place / "json").mkdir(parents=True)
    for name, text in {
        "ast": "x = 1",
        "random": "mine = 2",
        "json/__init__": "",
        "json/own": "import random\ny = random.mine",
        "helper": "from ast import x\ndef f():\n    pass",
        "script": OWN_NAMES,
    }.items():
        (place / f"{name}.py").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "kerasrl", str(Path(folder, "script.py"))]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "1 1 2 2 1 fine def\n", "")

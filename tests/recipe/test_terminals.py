"""The scripts under old Pythons, without their libraries, without an output, and in other alphabets."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from one_process import one_after_another

ROOT = Path(__file__).parents[2]
SCRIPTS = ["train.py", "test.py", "-m kerasrl plot", "-m kerasrl export"]


def typed(script):
    """What is typed after `python` to run a script or a command."""
    return [ROOT / script] if script.endswith(".py") else script.split()


def run(*command, folder, **environment):
    """Return status, stdout and stderr of a command, as text in UTF-8."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR") if name in os.environ}
    kept["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(command, cwd=folder, env=kept | environment, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("version", [(3, 6), (3, 9)])
def test_an_old_python_is_told_which_are_supported(script, version, said, tmp_path):
    for file in (ROOT / "train.py", ROOT / "test.py", ROOT / "kerasrl/__init__.py"):
        ast.parse(file.read_text(), feature_version=version)  # as far as that Python gets
    start = "run_module('kerasrl'" if script.startswith("-m") else f"run_path({str(ROOT / script)!r}"
    code = f"import runpy, sys; sys.version_info = {version}; runpy.{start}, None, '__main__')"
    status, out, errors = run(sys.executable, "-c", code, folder=tmp_path)
    assert (status, out, "{}.{}".format(*version) in said(errors)) == (1, "", True)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_python_without_the_libraries_is_told_so(script, said, tmp_path):
    status, out, errors = run(sys.executable, "-S", *typed(script), folder=tmp_path)
    assert (status, out, "msgspec" in said(errors)) == (1, "", True)


@pytest.mark.long
@pytest.mark.parametrize("library", ["numpy", "filelock"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_library_that_is_missed_late_is_told_so_too(script, library, said, tmp_path):
    (tmp_path / f"{library}.py").write_text(f"raise ModuleNotFoundError('none', name={library!r})")
    arguments = {
        "train.py": ["--nb-steps", "60"],
        "test.py": ["--weights", ROOT / "checkpoints/dqn_CartPole-v0_pretrained.h5f"],
        "-m kerasrl export": ["--weights", ROOT / "checkpoints/dqn_CartPole-v0_pretrained.h5f", "--to", "policy.keras"],
        "-m kerasrl plot": ["log.json"],
    }
    command = [sys.executable, *typed(script), *arguments[script]]
    status, _, errors = run(*command, folder=tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert (status, library in said(errors)) == (1, True)


@pytest.mark.long
def test_a_library_that_is_missed_while_drawing_is_told_so_too(said, tmp_path):
    log = tmp_path / "log.json"
    log.write_text('{"episode_reward": [1.0, 2.0], "nb_steps": [1, 3]}')
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError('none', name='matplotlib')")
    status, _, errors = run(
        sys.executable, "-m", "kerasrl", "plot", log, folder=tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}"
    )
    assert (status, "matplotlib" in said(errors)) == (1, True)


SHORT = "--nb-steps 60 --eval-interval 0 --hidden-layers 4 --no-jit-compile"


@pytest.mark.long
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_a_closed_output_is_no_error(closed, tmp_path):
    test = [ROOT / "test.py", "--weights", "checkpoints/dqn_CartPole-v0_weights.h5f", "--episodes", "1"]
    both = one_after_another([ROOT / "train.py", *SHORT.split()], [*test, "--record", "film.gif"])
    status, _, errors = run("sh", "-c", f'"$@" {closed}', "sh", sys.executable, *both, folder=tmp_path)
    assert (status, errors, (tmp_path / "film.gif").is_file()) == (0, "", True)


@pytest.mark.long
@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii:strict"}], ids=lambda locale: [*locale]
)
def test_names_of_every_alphabet_work_whatever_the_terminal_can_show(locale, tmp_path):
    folders = ["--checkpoint-dir", "ü/Öl", "--log-dir", "日"]
    every = one_after_another(
        [ROOT / "train.py", *SHORT.split(), *folders],
        [ROOT / "test.py", "--weights", "ü/Öl/dqn_CartPole-v0_weights.h5f", "--episodes", "1"],
        ["-m", "kerasrl", "plot", "日/dqn_CartPole-v0_log.json", "--out", "日/Ö.png"],
    )
    status, out, errors = run(sys.executable, *every, folder=tmp_path, **locale)
    assert (status, errors) == (0, "") and "Episode 1: " in out
    assert (tmp_path / "日/Ö.png").is_file() and (tmp_path / "ü/Öl/dqn_CartPole-v0_weights.h5f").is_file()


def test_a_name_that_is_no_text_is_refused_with_a_cure(said, tmp_path):
    status, _, errors = run(sys.executable, ROOT / "train.py", "--log-dir", b"\xfc", folder=tmp_path, LC_ALL="C")
    assert (status, "log_dir" in said(errors)) == (2, True)

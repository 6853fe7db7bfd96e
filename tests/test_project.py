"""What README, CI and the package promise about themselves."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_ci_runs_the_readmes_test_command():
    (command,) = re.findall(r"^python3 -m venv .* pytest$", README, re.MULTILINE)
    found = subprocess.run(
        ["grep", "-m", "1", "venv .* pytest$", "README.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == command
    assert "grep -m 1 'venv .* pytest$' README.md" in (ROOT / ".ci" / "run").read_text()


def test_the_readmes_script_runs(tmp_path):
    script = re.search(r"```python\n(from kerasrl.*?)```", README, re.DOTALL)[1].replace("50000, vis", "500, vis")
    (tmp_path / "script.py").write_text(script)
    run = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert (run.returncode, run.stderr) == (0, b"")
    assert b"Episode 5: reward:" in run.stdout


def test_the_readmes_own_environment_is_solved(tmp_path):
    (source,) = re.findall(r"```python\n(import gym\n.*?)```", README, re.DOTALL)
    (tmp_path / "corridor.py").write_text(source)
    (arguments,) = re.findall(r"^python train\.py (--env corridor:.*)$", README, re.MULTILINE)
    run = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *arguments.split(), "--seed", "1"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert "solved: mean reward of 100 greedy episodes 0.92, at least 0.9" in run.stdout
    assert len(source.splitlines()) <= 25


def test_the_readmes_callback_ends_a_training(tmp_path):
    imports = "import kerasrl.compat.keras_rl\nimport rl.callbacks, dataclasses\n"
    (source,) = re.findall(r"```python\n(class StopWhenGood.*?)```", README, re.DOTALL)
    namespace = {}
    exec(imports + source, namespace)
    callback = namespace["StopWhenGood"]()
    callback.set_model(type("Agent", (), {"stop_training": False})())
    callback.on_train_begin({})
    for reward in [0.0] * 30 + [195.0] * 19:
        callback.on_episode_end(0, {"episode_reward": reward})
    assert not callback.model.stop_training
    callback.on_episode_end(0, {"episode_reward": 195.0})
    assert callback.model.stop_training


def test_the_readmes_training_from_python(tmp_path):
    (source,) = re.findall(r"```python\n(from config import Config.*?)```", README, re.DOTALL)
    source = source.replace("20_000", "300")
    # Twice, as in a notebook.
    run = subprocess.run(
        [sys.executable, "-c", source + source],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert len(re.findall(r"^\([\d.]+, \d+\) checkpoints/dqn_CartPole-v1_best.h5f$", run.stdout, re.MULTILINE)) == 2


def test_files_that_the_readme_links_exist():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 5
    for link in links:
        assert (ROOT / link).exists(), link

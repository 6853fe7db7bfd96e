"""Keras-RL's own tests and examples, as they are, through `python -m kerasrl`.

keras-rl2 brings its tests with it. Those of keras-rl 0.4.2 and its examples are run where the environment variable
KERAS_RL names a folder that has them: git clone --branch v0.4.2 https://github.com/keras-rl/keras-rl
"""

import importlib.util
import json
import os
import re
import shutil
from importlib import metadata
from pathlib import Path

import pytest

pytestmark = pytest.mark.long
KERAS_RL = os.environ.get("KERAS_RL")
needs_keras_rl = pytest.mark.skipif(not KERAS_RL, reason="KERAS_RL does not name a folder with keras-rl 0.4.2")
RUN = "import sys\nimport pytest\nsys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', 'tests']))\n"


@pytest.fixture
def count_passed(run_in, tmp_path):
    """Run the tests in tmp_path; return how many pass if none fails."""

    def count():
        (tmp_path / "run_tests.py").write_text(RUN)
        status, output, _ = run_in(tmp_path, "--quiet", "run_tests.py")
        assert status == 0, output
        return int(re.match(r"(\d+) passed", output[-1])[1])

    return count


def test_the_tests_that_keras_rl2_brings_pass(count_passed, tmp_path):
    for file in metadata.files("keras-rl2"):
        if file.parts[0] == "tests" and file.suffix == ".py":
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file.locate(), tmp_path / file)
    assert count_passed() == 22


@needs_keras_rl
def test_the_tests_of_keras_rl_pass(count_passed, tmp_path):
    for folder in ("tests", "utils"):
        shutil.copytree(Path(KERAS_RL, folder), tmp_path / folder)
    assert count_passed() == 30


def shortened(text):
    """Return an example that takes seconds instead of hours."""
    text = re.sub(r"\b(nb_steps_warmup\w*)=\d+", r"\1=50", text)
    text = re.sub(r"\bnb_steps=\d+", "nb_steps=150", text)
    return re.sub(r"\bnb_episodes=\d+(, visualize=\w+)\)", r"nb_episodes=1\1, nb_max_episode_steps=50)", text)


EXAMPLES = {
    "cem_cartpole": "cem_CartPole-v0_params.h5f", "ddpg_mujoco": "ddpg_HalfCheetah-v1_weights_actor.h5f",
    "ddpg_pendulum": "ddpg_Pendulum-v0_weights_critic.h5f", "dqn_cartpole": "dqn_CartPole-v0_weights.h5f",
    "dqn_atari": "dqn_BreakoutDeterministic-v4_weights.h5f", "duel_dqn_cartpole": "duel_dqn_CartPole-v0_weights.h5f",
    "naf_pendulum": "cdqn_Pendulum-v0_weights.h5f", "sarsa_cartpole": "sarsa_CartPole-v0_weights.h5f",
    "visualize_log": "curves.png",
}  # fmt: skip


@needs_keras_rl
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_keras_rl_runs(example, run_in, tmp_path):
    (tmp_path / "example.py").write_text(shortened(Path(KERAS_RL, f"examples/{example}.py").read_text()))
    (tmp_path / "log.json").write_text(json.dumps({"episode": [1, 2], "loss": [1.0, 0.5], "reward": [3.0, 4.0]}))
    arguments = ["log.json", "--output", "curves.png"] if example == "visualize_log" else []
    status, _, errors = run_in(tmp_path, "example.py", *arguments)
    if example == "ddpg_mujoco" and not importlib.util.find_spec("mujoco"):
        assert status == 2 and '".[mujoco]"' in errors[0]
        return
    assert status == 0, errors
    assert (tmp_path / EXAMPLES[example]).stat().st_size > 1000
    assert example != "ddpg_mujoco" or any("HalfCheetah-v5 stands in for HalfCheetah-v1" in line for line in errors)

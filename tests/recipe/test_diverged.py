"""A training whose numbers go wrong leaves the state and the best weights from before, from which it can go on."""

import math
import re
from pathlib import Path

import gym
import numpy as np
import pytest
from gym.envs.classic_control.cartpole import CartPoleEnv

from kerasrl import environments
from kerasrl.callbacks import Evaluation
from kerasrl.cli.door import run as run_command
from kerasrl.errors import Note
from kerasrl.storage import TrainingState, weights
from model import build_agent, build_model

RUN = ["--env", "Rare-v0", "--seed", "1", "--state-interval", "20", "--eval-interval", "20", "--eval-episodes", "1"]
RUN += ["--batch-size", "64"]  # large enough to meet each step soon


class Rare(CartPoleEnv):
    """CartPole whose 150th step, in all episodes together, has a reward of its own."""

    reward = 1.0
    nb_steps = 0

    def step(self, action):
        self.nb_steps += 1
        observation, reward, *rest = super().step(action)
        return observation, Rare.reward if self.nb_steps == 150 else reward, *rest


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    gym.envs.registration.registry.pop("Rare-v0", None)
    gym.register("Rare-v0", Rare, max_episode_steps=200)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kerasrl.training.run.TrainingRun._rehearse", lambda _: None)

    def run(*arguments, reward=1.0):
        Rare.reward = reward
        try:
            status = run_command("train", [*RUN, *arguments])
        except SystemExit as stop:
            status = stop.code
        return status, capsys.readouterr().err

    return run


def arrays(tree):
    return [array for array in tree["agent"]["learner"] if array.dtype.kind == "f"]


def is_sound(values):
    return all(np.abs(array).max() <= 1e15 for array in values if array.size)


@pytest.mark.long
@pytest.mark.parametrize(
    ("optimizer", "reward"),
    [
        ("adam", 1e18),
        *(pytest.param(*case, marks=pytest.mark.long) for case in [("sgd", 1e18), ("adam", -1e30), ("sgd", 1e9)]),
    ],
    ids=str,
)
def test_one_reward_that_overflows_does_not_become_the_state_or_the_best_weights(run, said, optimizer, reward):
    status, errors = run("--optimizer", optimizer, "--nb-steps", "400", "--verbose", "1", reward=reward)
    first, last = errors.splitlines()[0], errors.splitlines()[-1]
    assert re.search("lower the learning rate|with a lower --learning-rate", last) and status in (0, 1)
    said(first, r"(?<=step )\d+")
    tree = TrainingState("checkpoints/dqn_Rare-v0_state").load()
    assert 100 < tree["agent"]["step"] <= 250 and is_sound(arrays(tree))
    best = weights.read("checkpoints/dqn_Rare-v0_best.h5f")
    assert is_sound([array for layer in best.layers for array in layer.values()])
    status, errors = run("--optimizer", optimizer, "--resume", "--learning-rate", "1e-5", "--nb-steps", "450")
    tree = TrainingState("checkpoints/dqn_Rare-v0_state").load()
    assert status == 0 and tree["metadata"]["learning_rate"] == 1e-5
    assert tree["agent"]["step"] > 400


def agent():
    found = build_agent(build_model(4, 2, (4,)), 2)
    found.compile("sgd", jit_compile=False)
    return found


def spoil_weights(agent, value):
    agent.model.layers[-1].bias.assign([value, 0.0])


def spoil_q_values(agent, value):
    agent._next_output = np.array([value, 0.0], np.float32)


def spoil_loss(agent, value):
    agent.excess_step = agent.step


@pytest.mark.parametrize(
    "value",
    [math.nan, *[pytest.param(value, marks=pytest.mark.long) for value in (-2e15, math.inf, -math.inf, 1.1e15)]],
)
@pytest.mark.parametrize("spoil", [spoil_weights, spoil_q_values, spoil_loss])
def test_what_is_not_kept(tmp_path, spoil, value):
    learner, env = agent(), environments.make("CartPole-v0")
    state = TrainingState(tmp_path / "state", interval=10)
    evaluation = Evaluation(env, tmp_path / "best.h5f", 10**6, 1, seed=1)
    learner.fit(env, 60, callbacks=[evaluation], verbose=0, seed=1, state=state)
    before = (tmp_path / "state").read_bytes(), (tmp_path / "best.h5f").read_bytes()
    spoil(learner, value)
    kept = evaluation.best
    evaluation._keep(1e9, learner.step)
    with pytest.warns(Note, match="continues from step 60, with a lower learning_rate") as notes:
        state.save(learner, 1, [], env)
        state.save(learner, 2, [], env)
    assert len(notes) == 1
    assert ((tmp_path / "state").read_bytes(), (tmp_path / "best.h5f").read_bytes()) == before
    assert evaluation.best == kept


@pytest.mark.long
def test_numbers_up_to_the_bound_are_kept(tmp_path):
    learner, env = agent(), environments.make("CartPole-v0")
    state = TrainingState(tmp_path / "state", interval=10)
    learner.fit(env, 30, verbose=0, seed=1, state=state)
    before = (tmp_path / "state").read_bytes()
    spoil_weights(learner, 1e12)
    state.save(learner, 1, [], env)
    assert (tmp_path / "state").read_bytes() != before


def test_a_training_does_not_begin_with_weights_that_are_not_finite(tmp_path):
    learner = agent()
    spoil_weights(learner, math.nan)
    with pytest.raises(ArithmeticError, match="cannot begin: the weights are not finite"):
        state = TrainingState(tmp_path / "state")
        learner.fit(environments.make("CartPole-v0"), 30, verbose=0, seed=1, state=state)
    assert not Path(tmp_path / "state").exists()


@pytest.mark.long
def test_a_resume_has_the_learning_rate_that_it_is_given(run, tmp_path):
    assert run("--nb-steps", "60")[0] == 0
    rates = []
    for given in ([], ["--learning-rate", "0.25"], []):
        assert run("--resume", "--nb-steps", "60", *given)[0] == 0
        variables = arrays(TrainingState("checkpoints/dqn_Rare-v0_state").load())
        rates += [float(array) for array in variables if array.shape == ()]
    assert rates == pytest.approx([1e-3, 0.25, 0.25])

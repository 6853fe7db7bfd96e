"""Every agent through every command: tiny trainings, of which each agent has one for most of these tests."""

import json
import re
import shutil
import signal
from pathlib import Path

import gym
import keras
import numpy as np
import pytest
from gym import spaces

from kerasrl import Config, DDPGAgent, NAFAgent, SequentialMemory, environments, export, play, train
from kerasrl.cli.door import run as run_command
from kerasrl.config.agents import AGENTS
from kerasrl.config.commands import PlayConfig
from kerasrl.config.files import read_toml
from kerasrl.storage import weights
from kerasrl.tools.export.about import about, input_names
from kerasrl.tools.tune.worker import Job, read_result, work
from kerasrl.training.own_parts import OwnParts
from kerasrl.training.recipe import load
from kerasrl.training.saved import find

ROOT = Path(__file__).parents[2]
NAMES = list(AGENTS)
COMMON = {"seed": 1, "nb_steps": 60, "nb_max_episode_steps": 20, "hidden_layers": (4,), "eval_interval": 30}
COMMON |= {"eval_episodes": 1, "checkpoint_interval": 20, "log_interval": 1, "state_interval": 20, "verbose": 0}
COMMON |= {"jit_compile": False}  # which takes longest
NOISY = {"nb_random_steps": 10, "batch_size": 4, "memory_limit": 40, "reward_scale": 0.1}
OWN = {
    "dqn": {"memory_limit": 40, "batch_size": 4},
    "ddpg": {**NOISY, "critic_hidden_layers": (4,), "nb_steps_warmup_actor": 20, "nb_steps_warmup_critic": 15},
    "naf": {**NOISY, "nb_steps_warmup": 15},
    "sarsa": {"policy": "eps"},
    "cem": {"batch_size": 2, "memory_limit": 2, "elite_frac": 0.5, "train_interval": 1, "nb_steps_warmup": 5},
}


def settings_of(name, **others):
    return AGENTS[name].settings(**{**COMMON, **OWN[name], **others})


def options_of(name, **others):
    words = ["--agent", name]
    for setting, value in {**COMMON, **OWN[name], **others}.items():
        values = value if isinstance(value, tuple) else (value,)
        flag = f"--{'no-' if value is False else ''}{setting.replace('_', '-')}"
        words += [flag] if isinstance(value, bool) else [flag, *map(str, values)]
    return words


def folders(path):
    return {"checkpoint_dir": str(path / "checkpoints"), "log_dir": str(path / "logs")}


def files_of(name, path):
    return [file.name for file in sorted(path.glob("checkpoints/*.h5f"))]


def arrays_of(path):
    """All weights and the log of the run in a folder, by file, without ids and times."""
    found = {
        file.name: [array for layer in weights.read(file).layers for array in layer.values()]
        for file in path.glob("checkpoints/*.h5f")
    }
    (log,) = path.glob("logs/*_log.json")
    columns = {name: column for name, column in json.loads(log.read_text()).items() if name not in ("duration", "run")}
    return found, columns


def assert_same_result(one, other):
    assert one[1] == other[1]
    assert one[0].keys() == other[0].keys()
    for name, arrays in one[0].items():
        for array, wanted in zip(arrays, other[0][name], strict=True):
            np.testing.assert_array_equal(array, wanted)


@pytest.fixture(  # NAF is made of what DDPG is, SARSA of what CEM is, and other files test what DQN does
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.long] * (name not in ("ddpg", "cem"))) for name in NAMES],
)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def env_name(name):
    return AGENTS[name].settings.env


@pytest.fixture(scope="module")
def trained(name, tmp_path_factory):
    """Folder of a training that train.py's command line has run."""
    path = tmp_path_factory.mktemp(name)
    assert run_command("train", options_of(name, **folders(path))) == 0
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Train, play, resume


def test_a_training_leaves_its_files_and_nothing_else(name, env_name, trained):
    suffixes = AGENTS[name].suffixes
    whats = ["best", "weights", "weights_20", "weights_40", "weights_60"]
    assert files_of(name, trained) == sorted(f"{name}_{env_name}_{what}{end}.h5f" for what in whats for end in suffixes)
    others = {file.name.removeprefix(f"{name}_{env_name}_") for file in trained.rglob(f"{name}_*")} - {
        file.removeprefix(f"{name}_{env_name}_") for file in files_of(name, trained)
    }
    assert others - {"state.memory-1"} == {"state", "log.json", "curve.png", "config.toml"}


def test_the_log_and_the_settings_are_the_agents(name, trained):
    (log,), (config,) = trained.glob("logs/*_log.json"), trained.glob("logs/*_config.toml")
    columns = json.loads(log.read_text())
    assert columns["nb_steps"] == np.cumsum(columns["nb_episode_steps"]).tolist()
    assert 40 < columns["nb_steps"][-1] <= 60 and all(np.isfinite(columns["episode_reward"]))
    assert sum(reward is not None for reward in columns["evaluation_reward"]) == 2
    assert Config.load(file=config) == settings_of(name, **folders(trained))


def test_rewards_are_reported_as_the_environment_gives_them(name, trained):
    if "reward_scale" not in OWN[name]:
        return
    (log,) = trained.glob("logs/*_log.json")
    columns = json.loads(log.read_text())
    rewards = columns["episode_reward"] + [r for r in columns["evaluation_reward"] if r is not None]
    assert min(rewards) < -20  # a tenth of it would be above


@pytest.mark.long
def test_a_playoff_changes_no_training_and_keeps_what_plays_as_well(name, env_name, trained, here, monkeypatch):
    monkeypatch.setattr("kerasrl.training.playoff.NB_EPISODES", 3)
    assert run_command("train", options_of(name, playoff=2, **folders(here))) == 0
    found, without = arrays_of(here), arrays_of(trained)
    for arrays, _ in (found, without):
        for file in [file for file in arrays if "best" in file]:
            del arrays[file]
    assert_same_result(found, without)
    figures = [one["playoff"] for one in read_toml(*here.glob("logs/*_config.toml"))["run"]["playoff"]]
    rewards = play(here / "checkpoints" / f"{name}_{env_name}_best.h5f", 3, seed=2**31 - 1 - COMMON["seed"])
    assert len(figures) == 2 and np.mean(rewards) == max(figures)


def test_weights_say_whose_they_are_and_each_of_their_files_plays(name, env_name, trained, capsys):
    stem = str(trained / "checkpoints" / f"{name}_{env_name}_best")
    first, *_, last = names = [f"{stem}{suffix}.h5f" for suffix in ("", *AGENTS[name].suffixes)]
    for file in names:
        assert find(PlayConfig(file), OwnParts(), "play").content.metadata.get("agent", "dqn") == name
    rewards = play(first, 2, seed=3)
    assert run_command("test", ["--weights", last, "--episodes", "2", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert out.count(re.search(r"\nmean -?\d.*, episodes 2\n$", out)[0]) == len(rewards) == 2


def test_an_environment_with_the_wrong_kind_of_actions_is_refused_with_what_the_weights_are_of(name, trained, refused):
    best, *_ = sorted(trained.glob("checkpoints/*_best*.h5f"))
    other = "CartPole-v1" if AGENTS[name].actions == "continuous" else "Pendulum-v1"
    with refused(f"is of {name}, which takes {AGENTS[name].actions} ones"):
        play(best, env=other)


@pytest.mark.usefixtures("unrehearsed")
def test_a_run_that_is_resumed_is_as_one_that_was_not_stopped(name, trained, tmp_path, capsys):
    train(settings_of(name, **{**folders(tmp_path), "nb_steps": 40}))
    words = ["--resume", "--nb-steps", "60", "--verbose", "0"]
    for option, folder in folders(tmp_path).items():
        words += [f"--{option.replace('_', '-')}", folder]
    assert run_command("train", words) == 0  # the agent is that of the only run in the folder
    assert_same_result(arrays_of(tmp_path), arrays_of(trained))
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("unrehearsed")
@pytest.mark.long
def test_what_a_new_run_replaces_is_kept_and_plays_as_before(name, here):
    found = train(settings_of(name))
    assert found.best[1] in range(30, 61) and found.last[1] == 60 and found.status == 0
    assert found._repr_png_()[0].startswith(b"\x89PNG")
    rewards = found.play(2, seed=3)
    assert rewards == play(found.weights, 2, seed=3)
    assert found.export("policy.keras", episodes=1).is_file()
    before = sorted(file.name for file in here.glob("checkpoints/*.h5f"))
    again = train(settings_of(name, seed=2))
    assert sorted(file.name for file in here.glob("checkpoints/earlier/1/*.h5f")) == before
    assert found.weights.parent.name == "1" and found.play(2, seed=3) == rewards
    assert again.weights.parent.name == "checkpoints"


@pytest.mark.usefixtures("unrehearsed")
@pytest.mark.long
def test_a_run_is_evaluated_filmed_logged_and_stopped(name, env_name, here):
    others = {"stop_at": -1e9, "record_every": 20, "tensorboard": True, "nb_steps": 200, "nb_max_episode_steps": 5}
    found = train(settings_of(name, **others))
    assert found.agent.step < 60  # solved by the first evaluation
    assert len(list(here.glob(f"logs/{name}_{env_name}_film_*.gif"))) == 1
    assert list(here.glob(f"logs/{name}_{env_name}_tensorboard/events.*"))


def test_what_acts_in_a_loop_of_ones_own_stays_within_the_bounds(name, env_name, trained):
    agent = agent_with(trained / "checkpoints" / f"{name}_{env_name}_weights.h5f")
    env, taken = environments.make(env_name), []
    observation, _ = env.reset(seed=1)
    agent.reset_states()
    for _ in range(3):
        taken.append(agent.act(observation))
        observation, *_ = env.step(taken[-1])
    if AGENTS[name].actions == "continuous":
        assert all(action.shape == (1,) and (abs(action) <= 2).all() for action in taken)
    else:
        assert set(taken) <= {0, 1}


# Around it


def test_an_exported_network_acts_like_the_agent(name, env_name, trained, here, capsys):
    file = trained / "checkpoints" / f"{name}_{env_name}_best.h5f"
    assert run_command("export", ["--weights", str(file), "--to", "policy.keras", "--episodes", "1"]) == 0
    out = capsys.readouterr().out
    assert "the agent's action in all " in out
    output, what = {"cem": ("scores", "the index of the largest of the scores")}.get(
        name, ("action", "the action itself") if "continuous" in AGENTS[name].actions else ("q_values", "the index")
    )
    assert f"\noutput {output}: float32 " in out and f"\naction: {what}" in out
    if AGENTS[name].actions == "continuous":
        assert "clip it to the bounds from [-2.0] to [2.0]" in out
        network = keras.models.load_model("policy.keras", compile=False)
        agent = agent_with(file)
        for observation in np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32):
            agent.reset_states()
            own = agent.act(observation)
            np.testing.assert_allclose(network(observation[None, None])[0], own, atol=1e-5)


def agent_with(file):
    run = find(PlayConfig(str(file)), OwnParts(), "play").run()
    agent = load().build(run)
    agent.load_weights(run.weights)
    return agent


@pytest.mark.long
@pytest.mark.parametrize("ending", [".onnx", ".tflite", ""])
def test_every_format_takes_every_agent(name, env_name, trained, here, ending, capsys):
    file = trained / "checkpoints" / f"{name}_{env_name}_weights.h5f"
    export(file, f"policy{ending}", episodes=1)
    assert "the agent's action in all " in capsys.readouterr().out


def test_runs_of_all_agents_make_one_picture(trained, name, tmp_path):
    (log,) = trained.glob("logs/*_log.json")
    shutil.copy(log, tmp_path)  # without the settings beside it
    assert run_command("plot", [str(log), str(tmp_path / log.name), "--out", str(tmp_path / "curves.png")]) == 0
    assert (tmp_path / "curves.png").stat().st_size > 100


@pytest.mark.usefixtures("unrehearsed")
@pytest.mark.long
def test_a_worker_trains_scores_and_tidies(name, env_name, here):
    told = []
    config = settings_of(name, nb_max_episode_steps=3, nb_steps=30, seed=None, eval_interval=15, playoff=2)
    job = Job("seed 4", config, (4,), Path("tuned"), True, ("train.py",))
    assert work(job, lambda news: told.append(news) or True) == ""
    result = read_result(job.home(4))
    assert np.isfinite([result[f"mean_{which}"] for which in ("best", "last", "without_playoff")]).all()
    assert (result["error_of_difference"] > 0) == (result["mean_best"] != result["mean_without_playoff"])
    assert told[0].begins == "begins" and any(news.reward is not None for news in told)


@pytest.mark.usefixtures("unrehearsed")
@pytest.mark.long
def test_several_agents_share_a_folder_and_are_told_apart(here, capsys):
    for name in ("dqn", "sarsa"):
        train(settings_of(name, nb_steps=20, eval_interval=0))
    with pytest.raises(SystemExit):
        run_command("train", ["--resume"])
    assert "dqn on CartPole-v0, sarsa on CartPole-v0; name one with --agent" in capsys.readouterr().err
    assert run_command("train", ["--resume", "--agent", "sarsa", "--nb-steps", "40", "--verbose", "0"]) == 0
    assert not list(here.glob("*/earlier"))


# Of one's own

NETWORKS = """
from keras import Input, Model
from keras.layers import Concatenate, Dense, Flatten

def build(state_size, num_actions, config):
    observation = Input((1, state_size))
    return Model(observation, Dense(num_actions, name="mine")(Flatten()(observation)))

def build_pair(state_size, num_actions, config):
    actor, action = build(state_size, num_actions, config), Input((num_actions,))
    observation = Input((1, state_size))
    critic = Model([observation, action], Dense(1)(Concatenate()([Flatten()(observation), action])))
    return actor, critic, action

def build_three(state_size, num_actions, config):
    observation, action = Input((1, state_size)), Input((num_actions,))
    both = Concatenate()([Flatten()(observation), action])
    return build(state_size, 1, config), Model([action, observation], Dense(1)(both)), build(state_size, num_actions, 0)
"""
FUNCTIONS = {"ddpg": "build_pair", "naf": "build_three"}


@pytest.mark.long
@pytest.mark.parametrize("agent", [pytest.param(n, marks=[pytest.mark.long] * (n != "ddpg")) for n in NAMES])
def test_a_network_of_ones_own_is_trained_and_played(agent, here):
    name, env_name = agent, AGENTS[agent].settings.env
    module = f"own_{name}"
    (here / f"{module}.py").write_text(NETWORKS)
    network = f"{module}:{FUNCTIONS.get(name, 'build')}"
    assert run_command("train", options_of(name, network=network, nb_steps=20)) == 0
    file = f"checkpoints/{name}_{env_name}_weights.h5f"
    assert run_command("test", ["--weights", file, "--network", network, "--episodes", "1"]) == 0
    if name != "naf":
        (first, *_) = AGENTS[name].suffixes
        assert "mine/0_kernel" in "".join(weights.read(file.replace(".h5f", f"{first}.h5f")).layers[-1])


@pytest.mark.long
@pytest.mark.parametrize("agent", FUNCTIONS)
def test_networks_given_as_objects_are_themselves_trained(agent, here):
    functions = {}
    exec(NETWORKS, functions)
    networks = functions[FUNCTIONS[agent]](3, 1, None)
    before = [model.get_weights()[-1] for model in networks[:2]]
    found = train(settings_of(agent, nb_steps=40), model=networks)
    assert all((model.get_weights()[-1] != kernel).any() for model, kernel in zip(networks[:2], before, strict=True))
    trained = [model.get_weights()[-1] for model in networks[:2]]
    found.play(1)
    assert all((model.get_weights()[-1] == own).all() for model, own in zip(networks[:2], trained, strict=True))


@pytest.mark.parametrize("agent", [agent for agent in NAMES if len(AGENTS[agent].networks) > 1])
def test_networks_that_are_not_what_the_agent_needs_are_refused(agent, here, refused):
    model = keras.Sequential([keras.Input((1, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    for wrong in (model, (model, model)):
        with refused(AGENTS[agent].networks[-1], varying=r"(?<=not ).*"):
            train(settings_of(agent), model=wrong)


@pytest.mark.parametrize("agent, other", [("ddpg", "naf"), ("naf", "ddpg")])
def test_networks_of_another_agent_are_refused(agent, other, here, refused):
    functions = {}
    exec(NETWORKS, functions)
    (here / f"own_of_{other}.py").write_text(NETWORKS)
    last = AGENTS[agent].networks[-1]
    with refused(last, varying=r"(?<=: <).*"):
        train(settings_of(agent, network=f"own_of_{other}:{FUNCTIONS[other]}"))
    networks = functions[FUNCTIONS[other]](3, 1, None)
    given = dict(zip(AGENTS[agent].networks, networks, strict=True))
    with refused(last if agent == "naf" else "action input", varying=r"functional_\d+|(?<=action input ).*"):
        {"ddpg": DDPGAgent, "naf": NAFAgent}[agent](nb_actions=1, memory=SequentialMemory(20), **given)


@pytest.mark.long
def test_an_own_recipe_trains_and_plays(name, env_name, here):
    assert run_command("new", ["--agent", name, "mine"]) == 0
    model = Path("mine/model.py")
    model.write_text(model.read_text() + "\nprint('mine')\n")
    recipe = ["--recipe", "mine/train.py"]
    assert run_command("train", [*options_of(name, nb_steps=20), *recipe]) == 0
    file = f"checkpoints/{name}_{env_name}_weights.h5f"
    assert run_command("test", ["--weights", file, "--episodes", "1", *recipe]) == 0


def test_an_own_recipe_of_another_agent_is_refused_with_the_agent_to_name(here, capsys, said):
    assert run_command("new", ["--agent", "cem", "mine"]) == 0
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        run_command("train", ["--recipe", "mine/train.py", "--nb-steps", "20", "--verbose", "0"])
    assert stop.value.code == 2
    said(capsys.readouterr().err)


class Arm(gym.Env):
    """Two joints, each with bounds of its own, in a matrix; the observation is a Dict."""

    observation_space = spaces.Dict({"angle": spaces.Box(-1, 1, (2,)), "mode": spaces.Discrete(2)})

    def __init__(self, low=((-1.0,), (2.0,)), high=((1.0,), (6.0,))):
        self.action_space = spaces.Box(np.array(low, np.float32), np.array(high, np.float32))
        self.taken = []

    def reset(self, *, seed=None, options=None):
        return {"angle": np.zeros(2, np.float32), "mode": 1}, {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.taken.append(action)
        return {"angle": np.zeros(2, np.float32), "mode": 0}, float(action.sum()), len(self.taken) % 5 == 0, False, {}


@pytest.mark.long
@pytest.mark.usefixtures("unrehearsed")
@pytest.mark.parametrize("agent", [agent for agent in NAMES if AGENTS[agent].actions == "continuous"])
def test_actions_have_the_shape_and_the_bounds_that_the_environment_wants(agent, here):
    env = Arm()
    found = train(settings_of(agent, eval_interval=0, noise_sigma=3.0, nb_steps=40), env=env)
    taken = np.array(env.taken)
    assert taken[:, 0].min() == -1 and taken[:, 1].max() == 6  # clipped
    assert len(found.play(1)) == 1
    chosen = np.array([found.agent.memory.actions[i] for i in range(found.agent.memory.nb_entries)])
    assert chosen.shape[1:] == (2,) and chosen.max() > 6  # as it was
    network = found.agent.acting_model
    states = [np.zeros((9, *tensor.shape[1:]), np.float32) for tensor in network.inputs]
    outputs = np.asarray(network(states))
    assert ((outputs > [-1, 2]) & (outputs < [1, 6])).all()


@pytest.mark.long
@pytest.mark.usefixtures("unrehearsed")
@pytest.mark.parametrize("agent", [agent for agent in NAMES if AGENTS[agent].actions == "continuous"])
def test_actions_without_bounds_are_taken_as_they_are(agent, here):
    env = Arm([[-np.inf], [0.0]], [[np.inf], [1.0]])
    found = train(settings_of(agent, eval_interval=0, random_process="none", nb_steps=20), env=env)
    assert type(found.agent.acting_model.layers[-1]).__name__ == "Dense"
    names = input_names(found.agent.acting_model, by_key=True)
    for bounds, clipped in ((found.agent.bounds, ["clip it to the bounds from [none, 0.0] to [none, 1.0]"]),
                            ((np.full((2, 1), -np.inf), np.full((2, 1), np.inf)), []),
                            ((np.zeros((2, 1), int), np.ones((2, 1), int)),
                             ["clip it to the bounds from [0, 0] to [1, 1]", "round it"])):  # fmt: skip
        found.agent.bounds = bounds
        said = about("Arm", found.agent, names, names, 1)["action"]
        assert said == ["the action itself", *clipped, "give it the shape [2, 1]"]


# Killed

STRUCK = """
import os, sys
from gym.envs.classic_control.{module} import {env} as Env
nb_states, nb_events, step = {nb_states}, {nb_events}, Env.step
def hook(event, arguments):
    global nb_states
    nb_states -= event == "os.rename" and str(arguments[1]).endswith("_state")
def stepped(*arguments):
    global nb_events
    nb_events -= nb_states <= 0
    if nb_events == 0:
        os.kill(os.getpid(), 9)
    return step(*arguments)
Env.step = stepped
sys.addaudithook(hook)
"""


@pytest.mark.long
def test_killed_and_resumed_is_as_never_killed(name, env_name, python, tmp_path):
    own = {"nb_steps": 400, "memory_limit": 150} if "memory_limit" in OWN[name] and name != "cem" else {"nb_steps": 400}
    statuses = []
    for which, moments in (("whole", []), ("killed", [(1, 7), (3, 33)])):
        path = tmp_path / which
        path.mkdir()
        words = options_of(name, **own, **folders(path))
        place = {"CartPole-v0": ("cartpole", "CartPoleEnv"), "Pendulum-v1": ("pendulum", "PendulumEnv")}[env_name]
        resume = []
        for nb_states, nb_events in moments:
            before = STRUCK.format(module=place[0], env=place[1], nb_states=nb_states, nb_events=nb_events)
            command = [str(ROOT / "train.py"), *words, *resume]
            statuses.append(python.run(path, *command, before=before, wanted=["xla"]).status)
            resume = ["--resume"]
        assert python.run(path, str(ROOT / "train.py"), *words, *resume, wanted=["xla"]).status == 0
    assert statuses == [-signal.SIGKILL] * 2
    assert_same_result(arrays_of(tmp_path / "killed"), arrays_of(tmp_path / "whole"))


TORN = """
import os, sys
nb = 2
def hook(event, arguments):
    global nb
    if event == "os.rename" and str(arguments[1]).endswith("_best_actor.h5f"):
        nb -= 1
        if nb == 0:
            os.kill(os.getpid(), 9)
sys.addaudithook(hook)
"""


@pytest.mark.long
def test_a_pair_that_a_kill_tears_apart_is_refused_until_a_resume_has_written_it_again(python, tmp_path, refused):
    others = {"nb_max_episode_steps": 5, "eval_interval": 5, "nb_steps_warmup_actor": 0, "nb_steps_warmup_critic": 0}
    for which in ("whole", "killed"):
        path = tmp_path / which
        path.mkdir()
        command = [str(ROOT / "train.py"), *options_of("ddpg", **others, **folders(path))]
        if which == "killed":
            assert python.run(path, *command, before=TORN).status == -signal.SIGKILL
            with refused("best_actor.h5f", "best_critic.h5f", error=weights.WeightsError):
                play(path / "checkpoints" / "ddpg_Pendulum-v1_best.h5f")
            command.append("--resume")
        assert python.run(path, *command).status == 0
    assert_same_result(arrays_of(tmp_path / "killed"), arrays_of(tmp_path / "whole"))
    assert play(path / "checkpoints" / "ddpg_Pendulum-v1_best.h5f", 1)

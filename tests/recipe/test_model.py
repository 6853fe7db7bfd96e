"""Networks and processors for every kind of observation, and those that settings name."""

import dataclasses
import re
import sys

import gym
import keras
import numpy as np
import pytest
from rl.callbacks import Callback

from kerasrl import Config, DDPGConfig, environments, train
from kerasrl.agents.ddpg.recipe import build as build_ddpg
from kerasrl.cli.door import run as run_command
from kerasrl.environments.processors import AtariProcessor, OneHotProcessor, SmallAtariProcessor
from kerasrl.training.networks import build_atari_network, build_small_atari_network, own_network
from kerasrl.training.own_parts import OwnParts
from kerasrl.training.run import Run
from train import build

Box, Dict, Discrete = gym.spaces.Box, gym.spaces.Dict, gym.spaces.Discrete


class Signs(gym.Env):
    """Shows a sign in the form that the observation space asks for; pays 1 for naming it, for eight steps."""

    action_space = Discrete(3)

    def __init__(self, space):
        self.observation_space = space

    def shown(self):
        return self.shown_by(self.observation_space)

    def shown_by(self, space):
        if isinstance(space, Dict):
            return {key: self.shown_by(part) for key, part in space.spaces.items()}
        if isinstance(space, Discrete):
            return self.sign + space.start
        return np.full(space.shape, self.sign, space.dtype)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.nb_steps, self.sign = 0, 0
        return self.shown(), {}

    def step(self, action):
        reward = float(action == self.sign)
        self.nb_steps, self.sign = self.nb_steps + 1, (self.sign + action + 1) % 3
        return self.shown(), reward, self.nb_steps == 8, False, {}


SPACES = {
    "vector": Box(0, 2, (2,)),
    "picture": Box(0, 2, (3, 4, 2), np.uint8),
    "discrete": Discrete(3, start=5),
    "dict": Dict({"picture": Box(0, 2, (2, 2), np.uint8), "sign": Discrete(3), "a": Box(0, 2, (1,))}),
}
for _name, _space in SPACES.items():
    gym.register(f"Signs-{_name}-v0", lambda space=_space: Signs(space))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:images of 3 x 4 x 2 go into a dense network")
@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("window_length", [1, 2])
def test_every_kind_of_observation_can_be_learned_from(kind, window_length, tmp_path):
    folders = {"checkpoint_dir": str(tmp_path), "log_dir": str(tmp_path)}
    settings = Config(
        env=f"Signs-{kind}-v0", nb_steps=2_500, eps_nb_steps=800, learning_rate=3e-3, seed=2, verbose=0, gamma=0.5,
        window_length=window_length, threads=1, eval_interval=250, eval_episodes=1, stop_at=8, **folders,
    )  # fmt: skip
    assert train(settings).best[0] == 8


def test_one_input_for_each_part_of_a_dict():
    env = Signs(SPACES["dict"])
    run = Run.of(Config(window_length=2), env, OwnParts())
    assert (run.state_size, run.num_actions) == ({"a": (1,), "picture": (2, 2), "sign": (3,)}, 3)
    assert {tensor.name: tensor.shape for tensor in build(run).model.inputs} == {
        "a": (None, 2, 1), "picture": (None, 2, 2, 2), "sign": (None, 2, 3)
    }  # fmt: skip
    observation, _ = env.reset()
    np.testing.assert_array_equal(run.processor.process_observation(observation)["sign"], [1, 0, 0])


def test_one_hot(refused):
    processor = OneHotProcessor(Discrete(3, start=-1))
    np.testing.assert_array_equal(processor.process_observation(-1), [1, 0, 0])
    np.testing.assert_array_equal(processor.process_observation(np.int64(1)), [0, 0, 1])
    for outside in (-2, 2):
        with refused(outside):
            processor.process_observation(outside)
    assert not OneHotProcessor.is_needed(Box(0, 1, (2,)))


# What settings name


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module in the current folder."""
    (tmp_path / "own_parts.py").write_text(
        "import keras, numpy as np, rl.core\n"
        "def tutorial(state_size, num_actions):\n"
        "    return keras.Sequential([keras.Input((1, state_size)), keras.layers.Flatten(),\n"
        "                             keras.layers.Dense(num_actions, name='own')])\n"
        "def configured(state_size, num_actions, config):\n"
        "    return keras.Sequential([keras.Input((config.window_length, state_size)), keras.layers.Flatten(),\n"
        "                             keras.layers.Dense(num_actions, name='own')])\n"
        "def wrong(state_size, num_actions):\n"
        "    return 3\n"
        "number = 3\n"
        "def alone(state_size): ...\n"
        "class Other: ...\n"
        "class Halved(rl.core.Processor):\n"
        "    def process_observation(self, observation):\n"
        "        return observation[:2] / 2\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("own_parts", None)


@pytest.mark.long
@pytest.mark.parametrize("name", ["tutorial", "configured"])
def test_a_network_of_ones_own(own, name, capsys):
    arguments = f"--nb-steps 60 --network own_parts:{name} --processor own_parts:Halved --verbose 0"
    assert run_command("train", arguments.split()) == 0
    assert run_command("test", ["--weights", "checkpoints/dqn_CartPole-v0_best.h5f", "--episodes", "1", "--trust"]) == 0
    assert "mean " in capsys.readouterr().out


@pytest.mark.parametrize(
    "settings",
    [
        *("--network own_parts:nothing", "--network no_such:f", "--network own_parts:wrong"),
        *("--network own_parts:number", "--network own_parts:alone", "--network .own_parts:tutorial"),
        *("--processor own_parts:tutorial", "--processor own_parts:Other", "--activation rleu"),
        "--network own_parts:tutorial --window-length 2",
    ],
)
def test_names_that_name_nothing(own, settings, said, capsys):
    with pytest.raises(SystemExit) as stop:
        run_command("train", [*settings.split(), "--nb-steps", "10", "--verbose", "0"])
    error = said(capsys.readouterr().err)
    assert (stop.value.code, error.count("\n"), settings.split()[-1] in error) == (2, 1, True)


def test_network_and_exploration_settings_reach_the_agent():
    settings = Config(
        activation="tanh", hidden_layers=(5,), enable_double_dqn=True, enable_dueling_network=True, dueling_type="max",
        delta_clip=2.0, global_clipnorm=5.0, optimizer="rmsprop", eps_schedule="exponential", eps_rate=0.1, eps_min=0.2,
    )  # fmt: skip
    dqn = build(Run.of(settings, environments.make("CartPole-v0"), OwnParts()))
    assert dqn.model.layers[2].activation.__name__ == "tanh"
    assert (dqn.enable_double_dqn, dqn.enable_dueling_network, dqn.dueling_type) == (True, True, "max")
    assert dqn.delta_clip == 2.0
    assert isinstance(dqn.optimizer, keras.optimizers.RMSprop)
    assert dqn.optimizer.global_clipnorm == 5.0
    dqn.training, dqn.step = True, 3
    assert dqn.policy.get_current_value() == pytest.approx(0.2 + 0.8 * np.exp(-0.3))


@pytest.mark.long
@pytest.mark.parametrize(
    ("train_interval", "gradient_steps"),
    [(4, 2), *(pytest.param(*case, marks=pytest.mark.long) for case in [(1, 1), (4, 4), (1, 3)])],
)
def test_the_learning_rate_falls_in_a_straight_line_and_stays_at_its_end(train_interval, gradient_steps, tmp_path):
    rates, nb_episodes = [], []

    class Rates(Callback):
        def on_step_end(self, step, logs):
            rates.append(float(self.model.optimizer.learning_rate))
            nb_episodes.append(logs["episode"])

    settings = Config(
        learning_rate=0.5, learning_rate_end=0.1, learning_rate_nb_steps=100, nb_steps=120, nb_steps_warmup=20, seed=0,
        train_interval=train_interval, gradient_steps=gradient_steps, hidden_layers=(4,), eval_interval=0, verbose=0,
        checkpoint_dir=str(tmp_path), log_dir=str(tmp_path),
    )  # fmt: skip
    train(settings, observers=[Rates()])
    line = np.interp(np.arange(120), [20, 100], [0.5, 0.1])
    nb_steps_off = np.abs(rates - line) / (0.4 / 80)
    assert np.all(nb_steps_off <= train_interval + 1 + np.array(nb_episodes))  # one more update after an episode
    assert rates[0] == rates[19] == 0.5
    assert rates[105:] == [pytest.approx(0.1)] * 15


def test_a_normalised_layer_has_mean_0_and_variance_1_before_its_activation():
    settings = Config(hidden_layers=(50,), activation="elu", layer_normalization=True)
    network = build(Run.of(settings, environments.make("CartPole-v0"), OwnParts())).model
    states = np.random.default_rng(0).normal(5, 3, (8, 1, 4)).astype(np.float32)
    flat, kernel, (last, bias) = states[:, 0], network.get_weights()[0], network.get_weights()[-2:]
    sums = flat @ kernel
    normalised = (sums - sums.mean(1, keepdims=True)) / np.sqrt(sums.var(1, keepdims=True) + 1e-3)
    hidden = np.where(normalised > 0, normalised, np.expm1(normalised))
    np.testing.assert_allclose(network.predict_on_batch(states), hidden @ last + bias, rtol=1e-3, atol=1e-4)


def test_action_l2_weighs_the_actions_squares_and_keeps_them_near_the_middle():
    env = environments.make("Pendulum-v1")  # actions from -2 to 2
    states = np.random.default_rng(0).normal(0, 1, (8, 1, 3)).astype(np.float32)
    sizes = []
    for action_l2 in (0.0, 100.0):
        keras.utils.set_random_seed(1)
        settings = DDPGConfig(action_l2=action_l2, hidden_layers=(8,), critic_hidden_layers=(8,), jit_compile=False)
        early = {"nb_steps_warmup_actor": 8, "nb_steps_warmup_critic": 8, "actor_learning_rate": 0.02}
        agent = build_ddpg(Run.of(dataclasses.replace(settings, **early), env, OwnParts()))
        agent.fit(env, 200, verbose=0)
        sizes.append(np.mean((np.array(agent.actor(states)) / 2) ** 2))
    assert float(sum(agent.actor.losses)) == pytest.approx(100.0 * sizes[1], rel=1e-4)
    assert sizes[1] < sizes[0] / 3


# Games


@pytest.mark.parametrize(
    ("name", "size", "kinds", "nb_weights"),
    [
        ("atari", (84, 84), ["Conv2D"] * 3 + ["Dense"], 1_687_206 - 672 + 2 * 672),
        ("small_atari", (42, 40), ["Conv2D"] * 2 + ["Dense"], 209_718 + 304),
        ("minatar", (10, 10, 4), ["Conv2D", "Dense"], 9 * 4 * 16 + 1024 * 128 + 129 * 6 + 2 * 144),
    ],
)
def test_layer_normalization_is_for_the_networks_of_games_too(name, size, kinds, nb_weights):
    config = Config(
        window_length=1 if name == "minatar" else 4, layer_normalization=True, network=f"atari:build_{name}_network"
    )
    network = own_network(size, 6, config)
    layers = [type(layer).__name__ for layer in network.layers if layer.weights or layer.name.startswith("activation")]
    assert layers == [part for kind in kinds for part in (kind, "LayerNormalization", "Activation")] + ["Dense"]
    assert network.count_params() == nb_weights  # a scale and a shift for each filter or node instead of its bias


def test_the_network_of_mnih_2015():
    network = build_atari_network((84, 84), 6, Config(window_length=4))
    convolutions = [
        (layer.filters, layer.kernel_size[0], layer.strides[0])
        for layer in network.layers
        if isinstance(layer, keras.layers.Conv2D)
    ]
    assert convolutions == [(32, 8, 4), (64, 4, 2), (64, 3, 1)]
    assert network.input_shape == (None, 4, 84, 84)
    assert network.count_params() == 1_687_206  # computed by hand from the paper's layers
    frames = np.zeros((1, 4, 84, 84), np.uint8)
    frames[0, 3] = 255
    first = network.layers[3]  # after Permute and Rescaling
    assert first.input.shape == (None, 84, 84, 4)
    seen = keras.Model(network.input, first.input)(frames)
    np.testing.assert_allclose(seen[0, 0, 0], [0, 0, 0, 1])


def test_the_small_network_for_atari_sees_pixels_less_their_mean_in_standard_deviations():
    network = build_small_atari_network((42, 40), 6, Config(window_length=2))
    assert network.input_shape == (None, 2, 42, 40)
    nb_weights = 4 * 4 * 2 * 16 + 16 + 2 * 2 * 16 * 32 + 32 + 5 * 5 * 32 * 256 + 256 + 257 * 6
    assert network.count_params() == nb_weights
    frames = np.random.default_rng(0).integers(90, 110, (3, 2, 42, 40), np.uint8)
    seen = keras.Model(network.input, network.layers[3].input)(frames).numpy()
    np.testing.assert_allclose(seen.mean((1, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(seen.std((1, 2, 3)), 1, atol=1e-3)
    scale = (frames[0, 1, 5, 7] - frames[0].mean()) / frames[0].std()
    np.testing.assert_allclose(seen[0, 5, 7, 1], scale, rtol=1e-3)  # [height, width, frame]


def test_atari_screens_and_rewards():
    processor = AtariProcessor()
    screen = np.zeros((210, 160, 3), np.uint8)
    screen[105:] = 200
    seen = processor.process_observation(screen)
    assert (seen.shape, seen.dtype) == ((84, 84), np.uint8)
    assert (seen[:41] == 0).all()
    assert (seen[43:] == 200).all()
    np.testing.assert_array_equal(seen, processor.process_observation(screen[..., 0]))  # one in grey
    assert [processor.process_reward(reward) for reward in (-5, 0, 0.5, 7)] == [-1, 0, 0.5, 1]


def test_a_small_atari_screen_has_the_means_of_blocks_of_the_large_one():
    screen = np.random.default_rng(0).integers(0, 256, (210, 160), np.uint8)
    seen = SmallAtariProcessor().process_observation(screen)
    assert (seen.shape, seen.dtype) == ((42, 40), np.uint8)
    np.testing.assert_allclose(seen, screen.reshape(42, 5, 40, 4).mean((1, 3)), atol=0.5)


SMOKE = ["--nb-steps", "300", "--nb-steps-warmup", "60", "--memory-limit", "200"]
SMOKE += ["--eval-interval", "0", "--threads", "1"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("preset", "module"),
    [
        ("pong", "ale_py"),
        ("minatar-breakout", "minatar"),
        ("minatar-space-invaders", "minatar"),
        ("lunarlander", "Box2D"),
    ],
)
def test_presets_of_other_libraries_train(preset, module, tmp_path, capfd):
    pytest.importorskip(module)
    folders = ["--checkpoint-dir", str(tmp_path), "--log-dir", str(tmp_path)]
    assert run_command("train", ["--preset", preset, "--seed", "1", *SMOKE, *folders]) == 0
    out, errors = capfd.readouterr()
    assert errors == ""
    assert re.search(r", loss \d", out)  # an update was made
    name = Config.load(preset).env.replace("/", "-")
    assert (tmp_path / f"dqn_{name}_weights.h5f").exists()


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("ALE/Pong-v5", "ale_py", "atari"),
        ("Atari/Pong-v4", "ale_py", "atari"),
        ("MinAtar/Breakout-v1", "minatar", "minatar"),
        ("gymnasium:CartPole-v1", "gymnasium", "gymnasium"),
        ("LunarLander-v2", "Box2D", "box2d"),
        ("Ant-v5", "mujoco", "mujoco"),
    ],
)
def test_a_missing_library_is_named_with_the_line_that_installs_it(name, module, extra, monkeypatch, refused):
    for loaded in [key for key in sys.modules if key.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.delitem(sys.modules, "gym.envs.box2d.lunar_lander", raising=False)
    monkeypatch.delitem(sys.modules, "gym.envs.box2d", raising=False)
    monkeypatch.delitem(sys.modules, "kerasrl.environments.atari_game", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with refused(name, f'".[{extra}]"'):
        environments.make(name)


@pytest.mark.long
def test_a_robot_of_mujoco_py_has_a_newer_version(refused):
    with refused("HalfCheetah-v5"):
        environments.make("HalfCheetah-v2")

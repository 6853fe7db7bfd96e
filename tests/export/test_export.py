"""Networks of all kinds in files of all formats: they act as the agent does, also where there is no TensorFlow."""

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from kerasrl import Config, UserError, environments, export, play, train
from kerasrl.cli.door import run as run_command
from kerasrl.tools.export import formats
from kerasrl.training.own_parts import OwnParts
from kerasrl.training.run import Run
from model import build_agent, build_model
from train import build

for package in ("onnx", "tf2onnx", "onnxruntime", "ai_edge_litert"):
    pytest.importorskip(package)

ROOT = Path(__file__).parents[2]
PRETRAINED = ROOT / "checkpoints" / "dqn_CartPole-v0_pretrained.h5f"
FILES = ["policy.onnx", "policy.tflite", "policy.keras", "policy"]
SEEN = """
import gym, numpy as np

class Seen(gym.Env):
    observation_space = gym.spaces.Dict(
        where=gym.spaces.Box(-9, 9, (2, 2)), what=gym.spaces.Discrete(3, start=5), at=gym.spaces.Box(-9, 9, (3,))
    )
    action_space = gym.spaces.Discrete(3)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.sum = 0
        return self.see(), {}

    def see(self):
        draw = self.np_random.normal
        seen = {"where": draw(size=(2, 2)), "what": 5 + int(self.np_random.integers(3)), "at": draw(size=3)}
        self.best = int(abs(seen["at"]).argmax())
        return seen

    def step(self, action):
        reward = float(action == self.best)
        self.sum += 1
        return self.see(), reward, self.sum == 20, False, {}

NAMES = {"where": "a b", "what": 3, "at": "Höhe"}

class Keyed(Seen):
    observation_space = gym.spaces.Dict({own: Seen.observation_space[name] for name, own in NAMES.items()})

    def see(self):
        return {NAMES[name]: part for name, part in super().see().items()}

gym.register("Seen-v0", Seen)
gym.register("Keyed-v0", Keyed)
"""
KINDS = {
    "plain": {"env": "CartPole-v0", "nb_max_episode_steps": 40},
    "window": {"env": "CartPole-v0", "nb_max_episode_steps": 40, "window_length": 3},
    "one-hot": {"env": "FrozenLake-v1", "nb_max_episode_steps": 40, "hidden_layers": ()},
    "dict": {"env": "seen:Seen-v0", "window_length": 2},
    "dict of odd keys": {"env": "seen:Keyed-v0", "window_length": 2},
    "dueling avg": {"env": "CartPole-v0", "nb_max_episode_steps": 40, "enable_dueling_network": True},
    "dueling max": {
        "env": "CartPole-v0",
        "nb_max_episode_steps": 40,
        "enable_dueling_network": True,
        "dueling_type": "max",
    },
    "minatar": {
        "env": "MinAtar/Breakout-v1",
        "nb_max_episode_steps": 40,
        "network": "atari:build_minatar_network",
        "action_repetition": 2,
    },
    "atari": {
        "env": "PongDeterministic-v4",
        "nb_max_episode_steps": 12,
        "window_length": 4,
        "processor": "atari:AtariProcessor",
        "network": "atari:build_atari_network",
    },
}
# Acts by what files say of themselves, where neither TensorFlow nor Keras can be imported.
PLAYER = """
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = sys.modules["rl"] = None
import collections, importlib, json, zipfile
import numpy as np
from PIL import Image
from kerasrl import environments

def read(path):
    if path.endswith(".onnx"):
        import onnxruntime
        session = onnxruntime.InferenceSession(path)
        about = json.loads(session.get_modelmeta().custom_metadata_map["kerasrl"])
        return about, lambda inputs: session.run(["q_values"], inputs)[0][0]
    from ai_edge_litert.interpreter import Interpreter
    about = json.loads(zipfile.ZipFile(path).read("kerasrl.json"))
    runner = Interpreter(path).get_signature_runner()
    return about, lambda inputs: runner(**inputs)["q_values"][0]

def prepared(observation):
    if about["processor"] == "kerasrl.environments.processors:AtariProcessor":
        grey = Image.fromarray(observation).convert("L")
        observation = np.asarray(grey.resize((84, 84), Image.Resampling.BILINEAR))
    for part in about["one_hot"]:
        key = part["key"]
        value = observation if key is None else observation[key]
        vector = np.eye(part["n"])[value - part["start"]]
        observation = vector if key is None else {**observation, key: vector}
    observation = observation if isinstance(observation, dict) else {"state": observation}
    return {str(key): part for key, part in observation.items()}

def play(limit, nb_episodes):
    module, _, name = about["environment"].rpartition(":")
    if module:
        importlib.import_module(module)
    if name.startswith("MinAtar/"):
        import gymnasium, minatar.gym
        minatar.gym.register_envs()
        env = gymnasium.make(name)
    else:
        env = environments.make(name)
    for episode in range(nb_episodes):
        seed = int(np.random.SeedSequence([0, episode]).generate_state(1)[0] >> 1)
        observation, _ = env.reset(seed=seed)
        window, total, done, nb_steps = collections.deque(maxlen=about["window_length"]), 0.0, False, 0
        while not done and nb_steps < limit:
            seen = prepared(observation)
            window.extend([] if window else [{key: np.zeros_like(part) for key, part in seen.items()}] * window.maxlen)
            window.append(seen)
            inputs = {}
            for tensor in about["inputs"]:
                state = np.array([[part[tensor.get("key", tensor["name"])] for part in window]], tensor["dtype"])
                assert list(state.shape[1:]) == tensor["shape"][1:]
                inputs[tensor["name"]] = state
            action = int(np.argmax(q_values(inputs)))
            for _ in range(about["action_repetition"]):
                observation, reward, terminated, truncated, _ = env.step(action)
                total += reward
                done = terminated or truncated
                if done:
                    break
            nb_steps += 1
        print(total)

limit, nb_episodes = map(int, sys.argv[1:3])
for path in sys.argv[3:]:
    about, q_values = read(path)
    play(limit, nb_episodes)
assert "kerasrl.agents" not in sys.modules
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A function that returns the weights of an untrained agent of a kind, in a folder with seen.py."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "seen.py").write_text(SEEN)
    made = {}

    def make(kind):
        if kind not in made:
            config = Config(**KINDS[kind])
            keras.utils.set_random_seed(1)
            env = environments.make(config.env)
            dqn = build(Run.of(config, env, OwnParts()))
            for variable in dqn.model.trainable_weights:
                if len(variable.shape) == 1:  # biases begin as zeros, which would hide that they are missing
                    variable.assign(np.random.normal(size=variable.shape, scale=0.1))
            made[kind] = folder / f"{kind}.h5f"
            dqn.save_weights(made[kind])
        return made[kind]

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path, str(folder)])
        yield make


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(*arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        run_command("export", [*map(str, arguments)])
    errors = capsys.readouterr().err
    assert stop.value.code == 2 and errors.startswith("error: ") and errors.count("\n") == 1, errors
    return errors.removeprefix("error: ").rstrip("\n")


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_files_act_as_the_agent_does(kind, weights, tmp_path, capfd, monkeypatch):
    for file in FILES:
        to = ["--to", str(tmp_path / file), "--trust", "--episodes", "3"]
        assert run_command("export", ["--weights", str(weights(kind)), *to]) == 0
        out, errors = capfd.readouterr()
        assert errors == ""
        found = re.findall(r"the agent's action in all ([\d,]+) states.*, Q-values within (\S+)", out)
        ((nb_states, difference),) = found
        assert int(nb_states.replace(",", "")) >= 12
        assert float(difference) < 1e-4
        assert "output q_values: float32 [batch, " in out
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)
    limit = KINDS[kind].get("nb_max_episode_steps", 1000)
    command = [
        sys.executable,
        "-c",
        PLAYER,
        str(limit),
        "3",
        str(tmp_path / "policy.onnx"),
        str(tmp_path / "policy.tflite"),
    ]
    folders = os.pathsep.join([str(ROOT), str(weights(kind).parent)])
    environment = os.environ | {"PYTHONPATH": folders}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    agents = play(weights(kind), 3, seed=0, trust=True)
    assert [float(line) for line in done.stdout.split()] == pytest.approx([*agents, *agents])


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("plain", ["feed it as state float32 [1, 1, 4]"]),
        ("one-hot", ["turn it into a vector of 16 zeros with a one at the index that is its value", ""]),
        ("dict", ["turn its what into a vector of 3 zeros", "stack the latest 2", "at float32 [1, 2, 3]"]),
        (
            "dict of odd keys",
            ["turn its 3 into a vector", "stack the latest 2", "Hohe float32 [1, 2, 3] (its Höhe)"],
        ),
        (
            "atari",
            [
                "pass it to kerasrl.environments.processors:AtariProcessor.process_observation",
                "stack the latest 4",
                "[1, 4, 84, 84]",
            ],
        ),
    ],
)
def test_what_to_do_with_an_observation_stands_on_the_screen_and_in_the_file(kind, said, weights, here, capsys):
    assert run_command("export", ["--weights", str(weights(kind)), "--to", "policy", "--trust", "--episodes", "1"]) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("observation: ")]
    about = json.loads((here / "policy" / "assets.extra" / "kerasrl.json").read_text())
    assert line == f"observation: {'; '.join(about['observation'])}"
    assert len(about["observation"]) == len(said)
    assert all(words in step for words, step in zip(said, about["observation"], strict=True))
    assert about["environment"] == KINDS[kind]["env"]
    assert ("take it 2 times" in out) == (KINDS[kind].get("action_repetition") == 2)


@pytest.mark.long
@pytest.mark.parametrize("file", FILES)
def test_the_metadata_are_in_the_file(file, here):
    export(PRETRAINED, file, episodes=1)
    if file.endswith(".onnx"):
        import onnx

        network = onnx.load(file)
        ((name, text),) = [(entry.key, entry.value) for entry in network.metadata_props]
        assert name == "kerasrl"
        assert network.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    elif "." in file:
        text = zipfile.ZipFile(file).read("kerasrl.json")
    else:
        text = (here / file / "assets.extra" / "kerasrl.json").read_text()
    about = json.loads(text)
    assert about["inputs"] == [{"name": "state", "shape": ["batch", 1, 4], "dtype": "float32"}]
    assert about["outputs"] == [{"name": "q_values", "shape": ["batch", 2], "dtype": "float32"}]


@pytest.mark.long
def test_ten_seeded_episodes_are_played_with_the_file(here, capsys):
    assert run_command("export", ["--weights", str(PRETRAINED), "--to", "policy.onnx"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Episode ")][-1] == "Episode 10: reward: 200.000, steps: 200"
    assert "played in onnxruntime: mean reward 200.0, the agent's action in all 2,010 states, Q-values within" in (
        "\n".join(lines)
    )
    assert lines[-1] == "ONNX policy.onnx"
    # From the same seed the same episodes; this agent fails in some of them.
    (here / "weak.py").write_text("import model\n\ndef build(size, num_actions):\n    return model.build_model(4, 2)\n")
    keras.utils.set_random_seed(3)
    dqn = build_agent(build_model(4, 2), 2)
    dqn.save_weights("weak.h5f")
    rewards = []
    for file in ("one.onnx", "two.tflite", "three.onnx"):
        export("weak.h5f", file, seed=4 if file == "three.onnx" else 0)
        rewards.append(re.findall(r"reward: \S+", capsys.readouterr().out))
    assert rewards[0] == rewards[1] != rewards[2]
    assert [float(reward.split()[1].rstrip(",")) for reward in rewards[0]] == play("weak.h5f", 10, seed=0)


STRANGE = """
import keras, traceback

class Strange(keras.layers.Layer):
    def call(self, x):
        exporting = any("keras/src/export" in frame.filename for frame in traceback.extract_stack())
        return {} if exporting else x

def build(state_size, num_actions):
    input = keras.Input((1, state_size))
    x = keras.layers.Dense(num_actions)(keras.layers.Flatten()(input))
    return keras.Model(input, Strange()(x))
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("-x", r"policy.onnx would not act like the agent: in [\d,]+ of [\d,]+ states another action is better, and "
         r"Q-values differ by up to [\d.]+; nothing was written"),
        ("(x - x) / 0", r"would not act like the agent: in ([\d,]+) of \1 states .* differ by up to nan"),
        ("int('no')", "this network cannot be written as ONNX: ValueError"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_act_as_the_agent_is_refused(other, said, here, capsys):
    name = f"strange{len(other)}"
    (here / f"{name}.py").write_text(STRANGE.format(other))
    train(Config(nb_steps=30, eval_interval=0, verbose=0, network=f"{name}:build", seed=1))
    capsys.readouterr()
    file = "checkpoints/dqn_CartPole-v0_weights.h5f"
    (here / "policy.onnx").write_text("as before")
    errors = refused("--weights", file, "--to", "policy.onnx", "--overwrite", "--trust", capsys=capsys)
    assert re.search(said, errors)
    assert (here / "policy.onnx").read_text() == "as before"
    assert not [file for file in here.iterdir() if file.name.startswith(".policy")]


@pytest.mark.long
def test_actions_of_equal_value_are_no_difference(here, capsys):
    keras.utils.set_random_seed(2)
    dqn = build_agent(build_model(4, 2), 2)
    kernel = dqn.model.layers[-1].kernel
    kernel.assign(np.repeat(np.random.normal(size=(16, 1), scale=1e3), 2, axis=1))
    dqn.save_weights("tied.h5f")
    assert run_command("export", ["--weights", "tied.h5f", "--to", "tied.tflite"]) == 0
    assert "the agent's action in all" in capsys.readouterr().out


# Files that are there


@pytest.mark.long
@pytest.mark.parametrize("file", ["policy.onnx", "policy"])
def test_a_file_is_replaced_only_if_asked_for(file, said, here, capsys):
    options = ["--weights", PRETRAINED, "--to", file, "--episodes", "1"]
    assert run_command("export", [*map(str, options)]) == 0
    before = {path: path.stat().st_mtime_ns for path in [here / file, *(here / file).glob("*")]}
    assert file in said(refused(*options, capsys=capsys))
    with pytest.raises(UserError) as caught:
        export(PRETRAINED, file)
    assert file in said(caught.value)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert run_command("export", [*map(str, options), "--overwrite"]) == 0
    assert all(path.stat().st_mtime_ns > before[path] for path in before)
    assert [path.name for path in here.iterdir()] == [file]


@pytest.mark.parametrize("to", ["policy.pb", ".", "policy.ONNX", "none/policy.onnx", "folder.onnx", "file", "full"])
def test_where_nothing_can_be_written_nothing_is_read(to, said, here, capsys):
    (here / "folder.onnx").mkdir()
    (here / "file").touch()
    (here / "full").mkdir()
    (here / "full" / "letters.txt").touch()
    named = to.partition("/")[0]
    assert named in said(refused("--weights", "none.h5f", "--to", to, "--overwrite", capsys=capsys))
    assert (here / "full" / "letters.txt").exists()


@pytest.mark.long
def test_an_empty_folder_is_filled(here):
    (here / "1").mkdir()
    assert export(PRETRAINED, "1", episodes=1) == Path("1")
    assert (here / "1" / "saved_model.pb").is_file()


@pytest.mark.long
def test_what_is_stopped_leaves_nothing(here):
    command = [sys.executable, "-m", "kerasrl", "export", "--weights", str(PRETRAINED), "--to", "policy.tflite"]
    with subprocess.Popen([*command, "--episodes", "100000"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("Testing for")  # written, beside its place
        assert [file.name[:8] for file in here.iterdir()] == [".policy."]
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 128 + signal.SIGTERM
    assert list(here.iterdir()) == []


@pytest.mark.long
@pytest.mark.parametrize("file", FILES)
def test_nothing_that_libraries_say_is_shown(file, here, python):
    # In a process of its own: they speak once in a process.
    done = python.run(here, "-m", "kerasrl", "export", "--weights", PRETRAINED, "--to", file, "--episodes", "1")
    assert (done.status, done.errors) == (0, "")
    assert re.fullmatch(
        r"Testing for 1 .*\nEpisode 1: .*\nplayed in .*\ninput state.*\noutput q_values.*\nobservation: .*\n"
        r"action: .*\n\w+ policy.*\n",
        done.output,
    )


@pytest.mark.long
def test_a_missing_package_is_told_in_a_line(said, here, capsys, monkeypatch):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else name)
    assert "tf2onnx" in said(refused("--weights", PRETRAINED, "--to", "policy.onnx", capsys=capsys))
    assert run_command("export", ["--weights", str(PRETRAINED), "--to", "policy.keras", "--episodes", "1"]) == 0


# Weights


def test_a_strangers_weights_are_no_code(said, here, capsys):
    (here / "trap.py").write_text("import pathlib\npathlib.Path('sprung').touch()\n")
    dqn = build_agent(build_model(4, 2), 2)
    dqn.metadata |= {"processor": "trap:Processor"}
    dqn.save_weights("strange.h5f")
    line = said(refused("--weights", "strange.h5f", "--to", "policy.onnx", capsys=capsys))
    assert "strange.h5f" in line and "trap:Processor" in line
    assert not Path("sprung").exists()


@pytest.mark.long
def test_a_keras_file_with_a_dueling_network_needs_this_project_no_more(weights, here):
    export(weights("dueling avg"), "policy.keras", episodes=1)
    code = (
        "import sys\nsys.modules['kerasrl'] = None\nimport keras, numpy\n"
        "model = keras.models.load_model('policy.keras')\nprint(model(numpy.ones((1, 1, 4))).shape)\n"
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (0, "(1, 2)\n")


def test_old_weights_are_exported_too(here, capsys):
    old = ROOT / "tests" / "data" / "keras_rl_0.4.2_hdf5.h5f"
    assert run_command("export", ["--weights", str(old), "--to", "policy.onnx", "--episodes", "1"]) == 0
    assert "without settings: using the tutorial's model and CartPole-v0" in capsys.readouterr().out


@pytest.mark.long
def test_what_was_trained_with_objects_is_exported_from_python(here, capsys, weights):
    from seen import Seen

    trained = train(Config(nb_steps=60, eval_interval=0, verbose=0), env=Seen)
    said = refused("--weights", trained.weights, "--to", "policy.onnx", capsys=capsys)
    assert "was trained with env given as objects, which no file holds; export it from Python: export(" in said
    before = [variable.numpy() for variable in trained.agent.model.variables]
    assert trained.export("policy.onnx", episodes=2) == Path("policy.onnx")
    assert all(
        (variable.numpy() == was).all() for variable, was in zip(trained.agent.model.variables, before, strict=1)
    )
    assert "at: float32 [batch, 1, 3]" in capsys.readouterr().out

"""Keras-RL's names in old scripts stand for this project's engine, with the defaults of their time."""

import json

import h5py
import pytest

from kerasrl.cli.door import run as run_command

MODEL = """
import random
import gym
import numpy as np
from {keras}.models import Sequential
from {keras}.layers import Dense, Flatten
from {keras}.optimizers import Adam
from rl.agents.dqn import DQNAgent
from rl.memory import SequentialMemory
from rl.policy import EpsGreedyQPolicy

class Two(gym.Env):
    '''Action 1 pays; an episode has eight steps.'''
    observation_space = gym.spaces.Box(0, 8, (1,))
    action_space = gym.spaces.Discrete(2)
    def reset(self, seed=None, options=None):
        self.now = 0
        return np.zeros(1), {{}}
    def step(self, action):
        self.now += 1
        return np.full(1, float(self.now)), float(action), self.now == 8, False, {{}}

def network(window=1):
    return Sequential([Flatten(input_shape=(window, 1)), Dense(4, activation="relu"), Dense(2)])

def agent(memory=None, window=1, **options):
    memory = memory or SequentialMemory(limit=100, window_length=1)
    dqn = DQNAgent(network(window), nb_actions=2, memory=memory, nb_steps_warmup=5, target_model_update=1e-2, **options)
    dqn.compile(Adam(), metrics=["mae"])
    return dqn
"""


@pytest.fixture
def run(run_old):
    """Run a text after the model's."""

    def run(text, *options, keras="tensorflow.keras", **environment):
        return run_old(MODEL.format(keras=keras) + text, *options, **environment)

    return run


DOUBLE = """
dqn = agent()
print(dqn.enable_double_dqn, agent(enable_double_dqn=False).enable_double_dqn, type(dqn).__mro__[2].__module__)
"""


@pytest.mark.parametrize(
    ("keras", "options", "double", "told"),
    [
        ("keras", [], "True", True),
        pytest.param("keras", ["--keras-rl", "2"], "False", False, marks=pytest.mark.long),
        ("tensorflow.keras", [], "False", False),
        pytest.param("tensorflow.keras", ["--keras-rl", "1"], "True", True, marks=pytest.mark.long),
    ],
)
def test_the_default_of_double_dqn_is_that_of_the_scripts_keras_rl(keras, options, double, told, run, tmp_path):
    status, output, errors = run(DOUBLE, *options, keras=keras)
    assert (status, output) == (0, [f"{double} False kerasrl.agents.dqn.agent"])
    assert [line.startswith("note: DQNAgent learns with double DQN") for line in errors] == [True] * told


def test_a_whole_script_learns_and_saves(run, tmp_path):
    status, output, errors = run(
        """
import rl.callbacks
np.random.seed(3)
dqn = agent(policy=EpsGreedyQPolicy(eps=0.5))
saving = rl.callbacks.ModelIntervalCheckpoint("w_{step}.h5f", interval=300)
history = dqn.fit(Two(), nb_steps=6e2, verbose=0, callbacks=[rl.callbacks.FileLogger("log.json", interval=10), saving])
dqn.save_weights("w.h5f", overwrite=True)
rewards = dqn.test(Two(), nb_episodes=2, visualize=False, verbose=0).history["episode_reward"]
print(rewards, len(history.history["episode_reward"]), type(dqn.memory).__module__)
""",
    )
    assert (status, output) == (0, ["[8.0, 8.0] 75 kerasrl.replay.sequential"])
    assert len(json.loads((tmp_path / "log.json").read_text())["episode"]) == 75
    with h5py.File(tmp_path / "w.h5f") as last, h5py.File(tmp_path / "w_600.h5f") as numbered:
        assert sorted(last) == sorted(numbered)
    assert not any("Warning" in line for line in errors)


SEEDED = """
random.seed(1)
np.random.seed(2)
dqn = agent()
dqn.fit(Two(), nb_steps=200, verbose=0)
print([float(abs(w).sum()) for w in dqn.model.get_weights()])
"""


@pytest.mark.long
def test_a_script_with_seeds_gives_the_same_bits_each_time(run, tmp_path):
    first, second = (run(SEEDED)[1] for _ in range(2))
    other = run(SEEDED.replace("seed(2)", "seed(3)"))[1]
    assert first == second != other


# Keras 2 beside Keras 3, the workaround of recent years: tf_keras may be installed, but is not used.


@pytest.fixture
def tf_keras(tmp_path_factory):
    """A folder with a package tf_keras, which nobody should import."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "tf_keras").mkdir()
    (folder / "tf_keras/__init__.py").write_text("raise AssertionError('it is imported')\n")
    return folder


OF_TF_KERAS = """
import tf_keras, tf_keras.layers
from tf_keras import layers as own
dqn = agent()
dqn.fit(Two(), nb_steps=20, verbose=0)
print(type(dqn.model).__module__, own.Dense is tf_keras.layers.Dense is Dense, tf_keras.__version__[0])
"""


@pytest.mark.parametrize("is_installed", [False, True])
def test_scripts_for_tf_keras_have_keras_3(is_installed, tf_keras, run):
    path = {"PYTHONPATH": str(tf_keras)} if is_installed else {}
    status, output, errors = run(OF_TF_KERAS, keras="tf_keras", **path)
    assert (status, output) == (0, ["keras.src.models.sequential True 3"])
    assert sum(line.endswith(": tf_keras -> keras") for line in errors) == 1


@pytest.mark.long
def test_scripts_for_tf_keras_are_migrated_and_run_in_both_ways(tf_keras, run, run_in, run_plainly, tmp_path):
    first = "import os\nos.environ['TF_USE_LEGACY_KERAS'] = '1'\n"
    assert run(first + OF_TF_KERAS, "--migrate", "--write", keras="tf_keras").status == 0
    assert "LEGACY" not in (tmp_path / "script.py").read_text()
    for run_it in (run_in, run_plainly):
        ran = run_it(tmp_path, "script.py", PYTHONPATH=str(tf_keras))
        assert (ran.status, ran.output) == (0, ["keras.src.models.sequential True 3"])


@pytest.mark.long
def test_a_script_that_asks_tensorflow_for_keras_2_has_keras_3(tf_keras, answers_of):
    source = f"""
        import os, sys
        sys.path.append({str(tf_keras)!r})
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        import tensorflow as tf
        from tensorflow.keras.models import Model
        from rl.agents.dqn import DQNAgent
        answer = Model.__module__, Model is tf.keras.Model, DQNAgent.__module__
        """
    found, told = answers_of({"asking": source})
    assert found["asking"] == repr(("keras.src.models.model", True, "kerasrl.legacy.keras_rl.agents"))
    assert told == ["asking.py, line 5: TF_USE_LEGACY_KERAS -> left out: tensorflow.keras is Keras 3"]


AGAIN = """
import sys
class Start(rl.callbacks.Callback):
    def on_action_begin(self, action, logs={}):
        seen.append((round(float(now[-1]), 4), action))
class Random(Two):
    def reset(self, seed=None, options=None):
        super(Two, self).reset(seed=seed)
        self.start = self.np_random.uniform()
        now.append(self.start + np.random.uniform())
        return Two.reset(self)
for which in ("np", "env", "both", "once"):
    env = Random()
    now, dqn = [], agent(policy=EpsGreedyQPolicy(1.))
    if which in ("np", "both"):
        np.random.seed(123)
    if which in ("env", "both"):
        env.seed(123)
    fits = []
    for i in range(4):
        seen = []
        dqn.fit(env, 20, 1, [Start()], 0)
        dqn.test(env, 1, visualize=False, verbose=0)
        dqn.fit(Random(), nb_steps=5, verbose=0)
        fits.append(seen)
    print(which, len({str(seen) for seen in fits}), fits)
"""


@pytest.mark.long
@pytest.mark.parametrize("is_migrated", [False, True])
def test_fit_in_a_loop_goes_on_after_one_seed_the_same_in_each_process(is_migrated, run, run_plainly, tmp_path):
    text = f"import rl.callbacks{AGAIN}"
    status, output, errors = run(text)
    assert status == 0, errors
    assert [line.split()[:2] for line in output] == [[which, "4"] for which in ("np", "env", "both", "once")]
    if is_migrated:
        assert run(text, "--migrate", "--write").status == 0
        assert run_plainly(tmp_path, "script.py")[:2] == (0, output)
    else:
        assert run(text)[1] == output
        assert output[0].partition(" ")[2] == output[2].partition(" ")[2]  # the later seed is the same


SKIPPED = """
class Own(DQNAgent):
    def __init__(self, model, *args, **kwargs):
        super(DQNAgent, self).__init__(*args, **kwargs)
        self.model = model
        self.policy = self.test_policy = EpsGreedyQPolicy(0.5)
dqn = Own(network(), 2, SequentialMemory(limit=100, window_length=1), nb_steps_warmup=5)
dqn.compile(Adam(), metrics=["mae"])
history = dqn.fit(Two(), 20, 1, [], 0, False)
print(len(history.history["episode_reward"]), dqn.trainable_model.optimizer.lr.numpy() < 0.01)
dqn.trainable_model.optimizer.lr = 0.5
print(float(dqn.trainable_model.optimizer.learning_rate), len(dqn.test(Two(), 2, 1, None, False).history["nb_steps"]))
"""


@pytest.mark.long
def test_a_class_that_calls_the_constructor_after_dqnagents(run):
    status, output, errors = run(SKIPPED)
    assert (status, output[0], output[-1]) == (0, "2 True", "0.5 2"), errors


OLD_NAMES = """
from rl.memory import Memory
from rl.policy import AnnealedQPolicy
from rl.keras_future import Model, concatenate
import rl.agents, keras_rl2.memory
from rl.agents import DQNAgent as Same
print(Same is DQNAgent, keras_rl2.memory.SequentialMemory is SequentialMemory)
memory = Memory(limit=50)
print(type(memory).__name__, memory.limit)
policy = AnnealedQPolicy(EpsGreedyQPolicy(), attr="eps", value_max=1., value_min=.1, value_test=.05, nb_steps=100)
dqn = agent(memory, window=3, window_length=3, delta_range=(-2., 2.), policy=policy)
other = AnnealedQPolicy(nb_annealing_steps=30)
memory = dqn.memory
print(memory.window_length, memory.limit, dqn.delta_clip, type(policy).__name__, policy.nb_steps, other.nb_steps)
dqn.fit(Two(), nb_steps=30, nb_max_random_start_steps=2, verbose=0)
try:
    dqn.load_weights("nowhere.h5f")
except OSError as error:
    print("none yet:", error.filename)
class Own(rl.memory.Memory):
    def __init__(self, limit):
        super().__init__(window_length=1)
print(type(Own(limit=3)).__name__)
"""


def test_names_of_older_releases(run, tmp_path):
    status, output, errors = run(OLD_NAMES)
    assert (status, output) == (
        0,
        [
            "True True",
            "SequentialMemory 50",
            "3 50 2.0 AnnealedQPolicy 100 30",
            "none yet: nowhere.h5f",
            "Own",
        ],
    )
    for part in ("Memory(limit=...) ->", "delta_range=(-2.0, 2.0)) -> delta_clip=2.0", "nb_max_random_start_steps ->"):
        assert any(part in line for line in errors), part


PARTS = """
from keras.layers import Input, merge, Merge
from keras.optimizers import SGD
from rl.memory import RingBuffer
from rl.util import clone_optimizer

ring = RingBuffer(2)
for value in "abc":
    ring.append(value)
print(len(ring), ring.maxlen, ring[0], ring[1])
for index in (2, -1):
    try:
        ring[index]
    except KeyError:
        print("no", index)

sgd = clone_optimizer(SGD(lr=0.5, clipnorm=1.0, clipvalue=0.7))
print([np.asarray(part).tolist() for part in sgd._clip_gradients([np.array([3.0, 0.0]), np.array([4.0])])])
a, b = Input((2,)), Input((3,))
print(merge([a, b], mode="concat").shape, Merge(mode="concat", concat_axis=1)([b, a]).shape)
Merge([Sequential(), Sequential()], mode="sum")
"""


def test_parts_of_keras_rl_1_and_the_keras_of_its_time(run, said):
    status, output, errors = run(PARTS, keras="keras")
    assert (status, output[:3]) == (2, ["2 2 b c", "no 2", "no -1"])
    # The norm is that of all gradients together: 5, so they are 0.6 and 0.8; none is beyond 0.7.
    assert json.loads(output[3]) == [pytest.approx([0.6, 0.0]), pytest.approx([0.7])]
    assert output[4:] == ["(None, 5) (None, 5)"]
    assert any("SGD(clipnorm=1.0) -> global_clipnorm" in line for line in errors)
    assert "keras.Model(inputs, outputs)" in said(errors[0])


WATCHED = """
env = gym.make("CartPole-v1")
env.observation_space.shape
model = Sequential([Flatten(input_shape=(1, 4)), Dense(2)])
dqn = DQNAgent(model, nb_actions=2, memory=SequentialMemory(limit=100, window_length=1))
dqn.compile(Adam())
dqn.fit(env, nb_steps=60, visualize=True, verbose=0)
dqn.test(env, nb_episodes=1)
dqn.test(env, 1, visualize=True)
print("done")
"""


def test_without_a_screen_nothing_is_shown_and_that_is_told_once(run, tmp_path):
    status, output, errors = run(WATCHED)
    assert (status, output[-1]) == (0, "done")
    assert sum("there is no screen" in line for line in errors) == 1


LIMITED = """
class Sees(rl.core.Processor):
    def process_step(self, observation, reward, done, info):
        self.done = done
        return observation, reward, done, info

dqn = agent()
dqn.fit(gym.wrappers.TimeLimit(Two(), 4), nb_steps=20, verbose=0)
dqn.fit(Two(), nb_steps=20, verbose=0, nb_max_episode_steps=3)
print(dqn.memory._terminals[:60].sum(), dqn.memory._terminated[:60].sum())
"""


@pytest.mark.parametrize(("options", "ends"), [([], 0), (["--time-limits-end"], 11)])
def test_time_limits_are_told_and_can_be_ends(options, ends, run, tmp_path):
    status, output, errors = run("import rl.core\n" + LIMITED, *options)
    assert status == 0
    assert int(output[-1].split()[1]) == ends
    assert sum("a time limit ends" in line for line in errors) == (not options)


CALLBACKS = """
from tensorflow.keras.callbacks import TensorBoard, ModelCheckpoint
dqn = agent()
dqn.fit(Two(), nb_steps=40, verbose=0, callbacks=[
    TensorBoard(log_dir="board"), ModelCheckpoint("best.keras", monitor="val_loss", save_best_only=True),
    ModelCheckpoint("w_{epoch:02d}.h5f", save_weights_only=True, period=1)])
from tensorflow.keras.models import load_model
print(load_model("best.keras").count_params() == dqn.model.count_params())
"""


@pytest.mark.long
def test_keras_callbacks_that_want_a_model_get_the_agents(run, tmp_path):
    status, output, errors = run(CALLBACKS)
    assert (status, output) == (0, ["True"])
    assert list((tmp_path / "board").glob("events*"))
    assert (tmp_path / "w_05.h5f").is_file()
    assert sum("TensorBoard ->" in line or "ModelCheckpoint ->" in line for line in errors) == 3


FOLDERS = """
import rl.callbacks
dqn = agent()
saving = rl.callbacks.ModelIntervalCheckpoint("a/w_{step}.h5f", interval=20)
logging = rl.callbacks.FileLogger("b/c/log.json", save_continiously=True)
dqn.fit(Two(), nb_steps=20, verbose=0, callbacks=[saving, logging])
dqn.save_weights("d/w.h5f")
dqn.model.save_weights("e/w.h5")
dqn.model.save("f/model.h5")
print(len(set(dqn.model.weights)), [i for i in xrange(2)])
"""


@pytest.mark.long
def test_missing_folders_and_names_of_python_2(run, tmp_path):
    status, output, errors = run(FOLDERS)
    assert (status, output) == (0, ["4 [0, 1]"])
    for file in ("a/w_20.h5f", "b/c/log.json", "d/w.h5f", "e/w.h5", "f/model.h5"):
        assert (tmp_path / file).is_file()
    assert sum("made, since it was missing" in line for line in errors) == 5


TUTORIAL = """
env = gym.make("CartPole-v0")
hidden = [Dense({nodes}, activation="relu") for _ in range({layers})]
model = Sequential([Flatten(input_shape=(1, 4)), *hidden, Dense(2)])
dqn = DQNAgent(model, nb_actions=2, memory=SequentialMemory(limit=100, window_length=1), nb_steps_warmup=5)
dqn.compile(Adam())
dqn.fit(env, nb_steps=60, verbose=0)
dqn.save_weights("old.h5f", overwrite=True)
"""
NETWORK = """
from keras.layers import Dense, Flatten, Input
from keras.models import Sequential


def build(state_size, num_actions):
    return Sequential([Input((1, state_size)), Flatten(), Dense(5, activation="relu"), Dense(num_actions)])
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("nodes", "layers", "options"),
    [pytest.param(16, 3, [], marks=pytest.mark.long), (5, 1, ["--network", "old_networks:build"])],
    ids=["tutorial", "own"],
)
def test_test_py_plays_what_a_script_saved(nodes, layers, options, run, tmp_path, monkeypatch, capsys):
    assert run(TUTORIAL.format(nodes=nodes, layers=layers)).status == 0
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old_networks.py").write_text(NETWORK)
    assert run_command("test", ["--weights", "old.h5f", "--episodes", "2", "--seed", "1", *options]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("episodes 2")


@pytest.mark.parametrize(
    "first",
    [
        "from kerasrl import DQNAgent",
        "from kerasrl import SequentialMemory",
        "from kerasrl.callbacks import FileLogger",
        "import kerasrl.dqn",
        "import rl.agents",
    ],
)
def test_a_script_may_import_the_engine_itself_before_or_after_keras_rl(first, run_old):
    text = (
        f"{first}\nimport kerasrl.callbacks\nfrom kerasrl import DQNAgent, SequentialMemory\n"
        "from rl.agents import DQNAgent as Theirs\nimport rl.agents.dqn, rl.callbacks, rl.memory\n"
        "print(issubclass(Theirs, DQNAgent), Theirs is rl.agents.dqn.DQNAgent is not DQNAgent)\n"
        "print(rl.memory.SequentialMemory is SequentialMemory)\n"
        "print(issubclass(rl.callbacks.FileLogger, kerasrl.callbacks.FileLogger))\n"
    )
    ran = run_old(text, "--quiet")
    assert (ran.status, ran.errors) == (0, [])
    assert ran.output == ["True True", "True", "True"]

"""`--migrate` writes for today what the translation does."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Lines before -> lines after; what comes before both is HEAD, whose imports are left out below.
HEAD = """
import numpy as np
import gym
from keras import backend as K
from keras.models import Sequential, Model, load_model
from keras.callbacks import ModelCheckpoint, TensorBoard
from keras.layers import Dense, Convolution2D, LeakyReLU, Embedding, LSTM
from keras.optimizers import Adam, SGD
from rl.agents.dqn import DQNAgent
from rl.memory import SequentialMemory
from rl.policy import EpsGreedyQPolicy
env = gym.make("CartPole-v1")
model = Sequential()
dqn = DQNAgent(model, memory=None, enable_double_dqn=False)
"""
REWRITTEN = {
    "learning rate": ("Adam(lr=1e-3)", "Adam(learning_rate=1e-3)"),
    "decay": (
        "Adam(lr=1e-3, decay=1e-6)",
        "Adam(learning_rate=keras.optimizers.schedules.InverseTimeDecay(1e-3, decay_steps=1, decay_rate=1e-6))",
    ),
    "no decay": ("SGD(0.01, decay=0.0, momentum=0.9)", "SGD(0.01, momentum=0.9)"),
    "optimizer's positions": ("SGD(0.01, 0.9, 0.0, True)", "SGD(learning_rate=0.01, momentum=0.9, nesterov=True)"),
    "plain Keras's norm": ("Adam(1e-3, clipnorm=1.)", "Adam(1e-3, global_clipnorm=1.)"),
    "Keras 1's merge": (
        "from keras.layers import merge\nx = merge([a, b], mode='concat', concat_axis=1)\ny = merge([a, b], 'mul')",
        "x = keras.layers.concatenate([a, b], axis=1)\ny = keras.layers.multiply([a, b])",
    ),
    "Keras 1's Dense": (
        "Dense(output_dim=24, init='uniform', input_dim=4, W_regularizer=None)",
        "Dense(units=24, kernel_initializer='uniform', input_dim=4, kernel_regularizer=None)",
    ),
    "Keras 1's convolution": (
        'Convolution2D(32, 8, 8, subsample=(4, 4), border_mode="same", dim_ordering="tf")',
        'Convolution2D(32, (8, 8), strides=(4, 4), padding="same", data_format="channels_last")',
    ),
    "kernel by name": (
        "Convolution2D(nb_filter=32, nb_row=3, nb_col=2)",
        "Convolution2D(filters=32, kernel_size=(3, 2))",
    ),
    "today's convolution": ("Convolution2D(32, (8, 8), strides=2)", "Convolution2D(32, (8, 8), strides=2)"),
    "slope": ("LeakyReLU(alpha=0.1)", "LeakyReLU(negative_slope=0.1)"),
    "model": ("Model(input=x, output=y)", "Model(inputs=x, outputs=y)"),
    "epochs": ("model.fit(x, y, nb_epoch=3)", "model.fit(x, y, epochs=3)"),
    "batch shape": ("Dense(2, batch_input_shape=(None, 4))", "Dense(2, input_shape=(4,))"),
    "shape of an embedding": (
        "Embedding(16, 4, input_length=1, init='uniform')",
        "Embedding(16, 4, embeddings_initializer='uniform', input_shape=(1,))",
    ),
    "shape of a sequence": ("LSTM(8, input_dim=4, input_length=3)", "LSTM(8, input_shape=(3, 4))"),
    "ordering": ("if K.image_dim_ordering() == 'th': pass", "if K.image_data_format() == 'channels_first': pass"),
    "set ordering": ('K.set_image_dim_ordering("tf")', 'K.set_image_data_format("channels_last")'),
    "somebody else's seed": ("env.action_space.seed(5)", "env.action_space.seed(5)"),
    "step": (
        "obs, reward, done, info = env.step(0)  # one step",
        "obs, reward, terminated, truncated, info = env.step(0)  # one step\ndone = terminated or truncated",
    ),
    "step into attributes": (
        "if env:\n    self.obs, r, self.done, _ = env.step(0)",
        "if env:\n    self.obs, r, terminated, truncated, _ = env.step(0)\n    self.done = terminated or truncated",
    ),
    "step whose end is not asked for": ("obs, _, _, _ = env.step(0)", "obs, _, _, _, _ = env.step(0)"),
    "reset": ("obs = env.reset()", "obs, _ = env.reset()"),
    "reset within": ("obs = np.reshape(env.reset(), 4)", "obs = np.reshape(env.reset()[0], 4)"),
    "reset alone": ("env.reset()", "env.reset()"),
    "five values": (
        "def play():\n    obs, info = env.reset()\n    obs, r, done, truncated, info = env.step(0)",
        "def play():\n    obs, info = env.reset()\n    obs, r, done, truncated, info = env.step(0)",
    ),
    "render": ("env.render(mode='human')", "environments.render(env, mode='human')"),
    "renamed environment": ("e = gym.make('FrozenLake-v0')", "e = gym.make('FrozenLake-v1')"),
    "MuJoCo": ("e = gym.make('Ant-v2')", "e = environments.make('Ant-v5')"),
    "Atari": ('e = gym.make("PongDeterministic-v4")', 'e = environments.make("PongDeterministic-v4")'),
    "Atari with arguments": (
        "import gymnasium\ne = gymnasium.make('ALE/Pong-v5', render_mode='human', frameskip=2)",
        "import gymnasium\ne = environments.make("
        "'ALE/Pong-v5', render_mode='human' if environments.has_display() else None, frameskip=2)",
    ),
    "Gymnasium's counts": (
        "import gymnasium\ne = gymnasium.make('CartPole-v1')\nDense(e.action_space.n)",
        "import gymnasium\ne = gymnasium.make('CartPole-v1')\nDense(int(e.action_space.n))",
    ),
    "methods of older gym": (
        "class Mine(gym.Env):\n    def _reset(self):\n        self._seed(1)\n        return super()._reset()\n"
        "    def _seed(self, seed=None):\n        self.np_random.randint(4), self._step_size",
        "class Mine(gym.Env):\n    def reset(self):\n        self.seed(1)\n        return super().reset()\n"
        "    def seed(self, seed=None):\n        self.np_random.integers(4), self._step_size",
    ),
    "a class of one's own": (
        "class Mine(DQNAgent):\n    def __init__(self, **k):\n        super().__init__(model, nb_actions=2, memory=m)",
        "class Mine(DQNAgent):\n    def __init__(self, **k):\n"
        "        super().__init__(model, nb_actions=2, memory=m, enable_double_dqn=True)",
    ),
    "a name at run time": ("e = gym.make(name)", "e = environments.make(name)"),
    "Monitor": ("env = gym.wrappers.Monitor(env, 'films', force=True)", ""),
    "Monitor by its name": (
        "from gym.wrappers import Monitor, TimeLimit\nenv = Monitor(env, 'films')",
        "from gym.wrappers import TimeLimit",
    ),
    "StepAPICompatibility": (
        "from gymnasium.wrappers import StepAPICompatibility\ne = StepAPICompatibility(env, False)",
        "e = env",
    ),
    "fit": (
        "dqn.fit(env, nb_steps=1e4, nb_max_random_start_steps=3, visualize=True)",
        "dqn.fit(env, nb_steps=int(1e4), nb_max_start_steps=3, visualize=environments.has_display())",
    ),
    "test": ("dqn.test(env, nb_episodes=1)", "dqn.test(env, nb_episodes=1, visualize=environments.has_display())"),
    "test without a window": ("dqn.test(env, visualize=False)", "dqn.test(env, visualize=False)"),
    "double DQN": (
        "DQNAgent(model, nb_actions=2, memory=m)",
        "DQNAgent(model, nb_actions=2, memory=m, enable_double_dqn=True)",
    ),
    "noise of keras-rl 0.4.2": (
        "from rl.random import OrnsteinUhlenbeckProcess as OU\nOU(theta=.15, size=2), OU(.15, 0., .3, .01, None, 2)",
        "OU(theta=.15, size=2, x0=0.0), OU(.15, 0., .3, .01, x0=0.0, size=2)",
    ),
    "agent of keras-rl 0.1": (
        "m = SequentialMemory(limit=50)\nDQNAgent(model, memory=m, window_length=4, delta_range=(-1., 1.))",
        "m = SequentialMemory(limit=50, window_length=4)\n"
        "DQNAgent(model, memory=m, delta_clip=1., enable_double_dqn=True)",
    ),
    "models": (
        "model.save('m')\nload_model('m', custom_objects={}), model.save('m.keras')",
        "models.write('m', model)\nmodels.read('m', custom_objects={}), model.save('m.keras')",
    ),
    "weights of a model": (
        "model.save_weights('w.h5')\nmodel.load_weights('w.h5')",
        "weights.write('w.h5', model, None)\nweights.assign(model, weights.read('w.h5'))",
    ),
    "callbacks": (
        "dqn.fit(env, 9, callbacks=[TensorBoard(log_dir='logs'), ModelCheckpoint('m_{epoch:02d}')])",
        "dqn.fit(env, 9, callbacks=[TensorBoardLogger('logs'), ModelIntervalCheckpoint('m_{step}', interval=1000)])",
    ),
    "missing weights": (
        "try:\n    dqn.load_weights('w')\nexcept OSError:\n    pass",
        "try:\n    dqn.load_weights('w')\nexcept (OSError, WeightsError):\n    pass",
    ),
    "missing weights among others": (
        "try:\n    dqn.load_weights('w')\nexcept (IOError, OSError) as e:\n    pass",
        "try:\n    dqn.load_weights('w')\nexcept (IOError, OSError, WeightsError) as e:\n    pass",
    ),
    "progress": ("load_model('m.keras').predict(x)", "load_model('m.keras').predict(x, verbose=0)"),
    "NumPy's names": ("np.zeros(2, np.float), np.Inf", "np.zeros(2, float), np.inf"),
    "NumPy's function": ("np.asscalar(x)", "np.asarray(x).item()"),
}  # fmt: skip
# The same for scripts that seed, each of which is a script alone.
SEEDED = {
    "np.random.seed(5)\ndqn.fit(env, 9)": "seed(5)\ndqn.fit(env, 9)",
    "N = 7\nenv.seed(N)\ndqn.fit(env, 9)": "N = 7\nseed(N, env)\ndqn.fit(env, 9)",
    "np.random.seed(5)\nenv.seed(6)\ndqn.fit(env, 9)": "seed(5)\nseed(6, env)\ndqn.fit(env, 9)",
    "np.random.seed(None)\ndqn.fit(env, 9)": "np.random.seed(None)\ndqn.fit(env, 9)",
}


@pytest.fixture
def migrate(run_old, tmp_path):
    """Write a text with --migrate --write; return the new text and what was told."""

    def migrate(text, *options):
        (tmp_path / "script.py.orig").unlink(missing_ok=True)
        status, output, errors = run_old(text, "--migrate", "--write", *options)
        assert (status, output) == (0, [])
        return (tmp_path / "script.py").read_text(), errors

    return migrate


@pytest.mark.long
def test_lines_are_rewritten(migrate, tmp_path):
    """Each in a module of its own, where nothing else is seen."""
    files = {name: tmp_path / f"case_{index}.py" for index, name in enumerate(REWRITTEN)}
    for name, (before, _) in REWRITTEN.items():
        files[name].write_text(f"{HEAD}# here\n{before}\n")
    migrate("".join(f"import {file.stem}\n" for file in files.values()))
    found = {name: file.read_text().partition("# here\n")[2].strip() for name, file in files.items()}
    assert found == {name: after for name, (_, after) in REWRITTEN.items()}


@pytest.mark.long
@pytest.mark.parametrize("before", SEEDED)
def test_a_seed_waits_for_the_next_fit(before, migrate):
    text, errors = migrate(f"{HEAD}# here\n{before}\n")
    assert text.partition("# here\n")[2].strip() == SEEDED[before]
    assert errors == ["script.py is rewritten; the original is in script.py.orig"]


IMPORTS = '''"""A script."""
from __future__ import print_function

# What TensorFlow is told.
import os
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import gym
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import tensorflow as tf
import keras.backend.tensorflow_backend as KTF
from keras.layers import Dense, Merge
from keras.layers.core import Flatten, Dropout  # both
from keras.layers.advanced_activations import LeakyReLU
from keras.utils import np_utils
from keras.optimizers import adam_v2
from tensorflow.python.keras.models import Sequential

from rl.agents import SARSAAgent
from rl.agents.dqn import (
    DQNAgent as Agent,
    AnnealedQPolicy,
)
from rl.memory import Memory
from rl.callbacks import FileLogger, TestLogger

# one GPU
config = tf.ConfigProto()
config.gpu_options.allow_growth = True  # not all of it
KTF.set_session(tf.Session(config=config))
tf.compat.v1.disable_eager_execution()
memory = Memory(limit=5)
policy = AnnealedQPolicy
adam = adam_v2.Adam(lr=1)
'''
TODAY = '''"""A script."""
from __future__ import print_function

# What TensorFlow is told.
import os
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import gym
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
from kerasrl import DQNAgent as Agent, SARSAAgent, SequentialMemory
from kerasrl.callbacks import FileLogger
import tensorflow as tf
from keras.layers import Dense
from keras.layers import Flatten, Dropout  # both
from keras.layers import LeakyReLU
from tensorflow.keras.models import Sequential

from rl.policy import LinearAnnealedPolicy
from rl.callbacks import TestLogger

# one GPU
# not all of it
memory = SequentialMemory(limit=5)
policy = LinearAnnealedPolicy
adam = tf.keras.optimizers.Adam(learning_rate=1)
'''


def test_imports_are_where_the_names_are_today(migrate):
    assert migrate(IMPORTS)[0] == TODAY


SMALL = "from keras.optimizers import Adam\nAdam(lr=1)  # ü\n"


@pytest.mark.long
def test_a_diff_is_printed_and_no_file_is_touched(run_old, tmp_path):
    status, output, errors = run_old(SMALL, "--migrate")
    assert (status, errors) == (0, [])
    assert output == [
        "--- script.py",
        "+++ script.py",
        "@@ -1,2 +1,2 @@",
        " from keras.optimizers import Adam",
        "-Adam(lr=1)  # ü",
        "+Adam(learning_rate=1)  # ü",
    ]
    assert [file.name for file in tmp_path.iterdir() if file.suffix in (".py", ".orig")] == ["script.py"]


def test_nothing_to_change_is_said(run_old, tmp_path):
    status, output, errors = run_old("print(1)\n", "--migrate", "--write")
    assert (status, output, errors) == (0, [], ["script.py: nothing has to change"])
    assert not (tmp_path / "script.py.orig").exists()


@pytest.mark.parametrize(
    "encoding", ["latin-1", *(pytest.param(name, marks=pytest.mark.long) for name in ("utf-8-sig", "utf-8"))]
)
def test_bytes_that_do_not_change_stay(encoding, run_old, tmp_path):
    file = tmp_path / "other.py"
    text = f"# -*- coding: {encoding} -*-\r\n{SMALL}".replace("\n", "\r\n").replace("\r\r", "\r")
    file.write_bytes(text.encode(encoding))
    file.chmod(0o751)
    assert run_old("import other\n", "--migrate", "--write").status == 0
    assert file.read_bytes() == text.replace("lr=1", "learning_rate=1").encode(encoding)
    assert (file.stat().st_mode & 0o777, (tmp_path / "other.py.orig").read_bytes()) == (0o751, text.encode(encoding))


def test_a_copy_is_never_replaced(said, run_old, tmp_path):
    (tmp_path / "script.py.orig").write_text("mine")
    status, _, errors = run_old(SMALL, "--migrate", "--write")
    assert (status, "script.py.orig" in said("\n".join(errors))) == (2, True)
    assert ((tmp_path / "script.py").read_text(), (tmp_path / "script.py.orig").read_text()) == (SMALL, "mine")


def test_modules_of_the_scripts_folder_are_migrated_with_it(run_old, tmp_path):
    (tmp_path / "games").mkdir()
    (tmp_path / "games" / "__init__.py").write_text("from .dots import Dots\n")
    (tmp_path / "games" / "dots.py").write_text(
        "import gym\nclass Dots(gym.Env):\n    def _step(self, a):\n        return 0, 0, True, {}\n"
    )
    (tmp_path / "network.py").write_text("from keras.layers import Dense\nlast = Dense(output_dim=2)\n")
    script = (
        "import games\nfrom network import last\nfrom rl.agents import DQNAgent\n"
        "env = games.Dots()\nobs, reward, done, info = env.step(0)\n"
    )
    assert run_old(script, "--migrate", "--write").status == 0
    assert "def step(self, a)" in (tmp_path / "games" / "dots.py").read_text()
    assert "Dense(units=2)" in (tmp_path / "network.py").read_text()
    # kerasrl comes before what imports gym and Keras; four values stay four.
    assert (tmp_path / "script.py").read_text() == (
        "from kerasrl import DQNAgent\nimport games\nfrom network import last\n"
        "env = games.Dots()\nobs, reward, done, info = env.step(0)\n"
    )


def test_a_loop_above_other_imports_finds_kerasrl(run_old, tmp_path):
    loop = "import gym\nenv = gym.make('CartPole-v1')\nenv.render()\nimport tensorflow\n"
    assert run_old(loop, "--migrate", "--write").status == 0
    assert (tmp_path / "script.py").read_text() == "from kerasrl import environments\n" + loop.replace(
        "env.render()", "environments.render(env)"
    )


@pytest.mark.long
def test_a_package_that_has_to_be_installed_is_named_and_migrated(run_old, tmp_path):
    package = tmp_path / "games" / "dots"
    package.mkdir(parents=True)
    (package.parent / "setup.py").write_text("")
    (package / "__init__.py").write_text(
        "from gym.envs.registration import register\nregister('Dots-v0', timestep_limit=5)\n"
    )
    status, output, errors = run_old("import gym\ngym.make('dots:Dots-v0')\n", "--migrate")
    assert (status, errors) == (0, ["dots has to be installed: python -m pip install games"])
    assert "+register('Dots-v0', max_episode_steps=5)" in output and "+environments.make('dots:Dots-v0')" in output


def test_an_older_environment_needs_no_observation_space(run_plainly, tmp_path):
    """Where a processor makes the observations, it was not asked for."""
    (tmp_path / "bare.py").write_text(
        "import gym\nclass Bare(gym.Env):\n    action_space = gym.spaces.Discrete(2)\n"
        "    def reset(self):\n        return 1\n    def step(self, action):\n        return 2, 0.0, True, {}\n"
        "gym.register('Bare-v0', entry_point=Bare)\n"
        "from kerasrl import environments\nprint(environments.make('Bare-v0').reset())\n"
    )
    assert run_plainly(tmp_path, "bare.py") == (0, ["(1, {})"], [])


@pytest.mark.long
def test_the_engine_comes_first_also_where_only_a_module_uses_the_agent(run_old, tmp_path):
    (tmp_path / "agent.py").write_text("from rl.agents import DQNAgent\n")
    assert run_old("# A game.\nimport gym\nimport agent\n", "--migrate", "--write").status == 0
    first = "# A game.\nimport kerasrl.compat.keras_rl  # first: it repairs Keras-RL\nimport gym\nimport agent\n"
    assert (tmp_path / "script.py").read_text() == first
    assert (tmp_path / "agent.py").read_text() == "from kerasrl import DQNAgent\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("import numpy as np\nprint np.zeros(2)\n", marks=pytest.mark.long),
        "def play(e):\n    o, r, d, i = e.step(0)\n",
        pytest.param("import gym\ngym.make('Copy-v0')\n", marks=pytest.mark.long),
        "from keras.layers import Merge\nMerge([1, 2])\n",
        pytest.param("from keras.optimizers import SGD\nSGD(1e-3, clipnorm=1, clipvalue=1)\n", marks=pytest.mark.long),
        pytest.param("import tensorflow as tf\ntf.placeholder(1)\n", marks=pytest.mark.long),
    ],
)
def test_what_the_source_does_not_tell_is_left_with_a_line(text, said, run_old, tmp_path):
    assert "line " in said("\n".join(run_old(text, "--migrate").errors))
    assert (tmp_path / "script.py").read_text() == text


@pytest.mark.long
def test_without_libcst_one_line_says_what_to_install(said):
    code = (
        "import sys; sys.modules['libcst'] = None\n"
        "from kerasrl.legacy.running import runner; runner.main(['--migrate', 'x'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert said(ran.stderr).count("\n") == 1 and '".[migrate]"' in ran.stderr


def test_time_limits_end_is_for_runs(said, run_old):
    status, _, errors = run_old(SMALL, "--migrate", "--time-limits-end")
    assert status == 2 and "--time-limits-end" in said(errors[0])

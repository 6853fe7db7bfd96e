"""One run of keras-rl2's DQN for benchmarks/speed.py, on Python 3.8: prints its figures as JSON."""

import os
import tempfile
import warnings

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
warnings.simplefilter("ignore")

import gym  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from common import Clock, arguments  # noqa: E402
from rl.agents.dqn import DQNAgent  # noqa: E402
from rl.callbacks import Callback, FileLogger, ModelIntervalCheckpoint  # noqa: E402
from rl.memory import SequentialMemory  # noqa: E402
from rl.policy import EpsGreedyQPolicy, LinearAnnealedPolicy  # noqa: E402
from tensorflow.keras import Input, Model  # noqa: E402
from tensorflow.keras.layers import Dense, Flatten  # noqa: E402
from tensorflow.keras.optimizers import Adam  # noqa: E402

options = arguments().parse_args()
clock = Clock(options.first, options.last)


class Ticks(Callback):
    """Let the clock count the steps."""

    def on_step_end(self, step, logs):
        clock.tick(learned=not np.isnan(logs["metrics"][0]))


np.random.seed(options.seed)
env = gym.make("CartPole-v0")
env.seed(options.seed)
x = inputs = Input((1, 4))
x = Flatten()(x)
for _ in range(3):
    x = Dense(16, activation="relu")(x)
model = Model(inputs, Dense(2)(x))
policy = LinearAnnealedPolicy(EpsGreedyQPolicy(), "eps", value_max=1.0, value_min=0.1, value_test=0.05, nb_steps=10000)
dqn = DQNAgent(
    model,
    nb_actions=2,
    memory=SequentialMemory(limit=50000, window_length=1),
    nb_steps_warmup=10,
    target_model_update=1e-2,
    policy=policy,
)
dqn.compile(Adam(1e-3), metrics=["mae"])
with tempfile.TemporaryDirectory() as folder:
    callbacks = [ModelIntervalCheckpoint(folder + "/{step}.h5f", 5000), FileLogger(folder + "/log.json", 100), Ticks()]
    dqn.fit(env, nb_steps=options.last, callbacks=callbacks, verbose=0)
clock.report(**{"tensorflow": tf.__version__, "keras-rl2": "1.0.5", "gym": gym.__version__})

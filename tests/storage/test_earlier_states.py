"""Training states that earlier versions wrote: CartPole-v0, 150 steps, a memory of 100."""

import shutil
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
import rl.callbacks
from rl.policy import EpsGreedyQPolicy, LinearAnnealedPolicy

from kerasrl import DQNAgent, PrioritizedMemory, SequentialMemory, environments
from kerasrl.storage import TrainingState
from model import build_model

DATA = Path(__file__).parents[1] / "data"
MEMORIES = {"sequential": SequentialMemory, "prioritized": PrioritizedMemory}
# The version that wrote a state found this in it: step, number of steps in the memory, and checksums of these.
EXPECTED = {
    "sequential": (140, 100, [3199154018, 2564795137, 3924288199, 949809022]),
    "prioritized": (148, 100, [1982105372, 1113087171, 3918481978, 3209666120]),
}


class Count(rl.callbacks.Callback):
    """Counts steps, and notes what it begins with."""

    def __init__(self):
        super().__init__()
        self.nb_steps = 0

    def on_episode_begin(self, episode, logs):
        if episode == 0 or self.model.first is None:
            agent, memory = self.model, self.model.memory
            arrays = [np.array(memory.observations), memory.actions, memory.rewards, memory.terminals]
            agent.first = (agent.step, memory.nb_entries, [zlib.crc32(array.tobytes()) for array in arrays])

    def on_step_end(self, step, logs):
        self.nb_steps += 1


@pytest.mark.parametrize("kind", MEMORIES)
def test_a_state_of_the_previous_version_is_continued(tmp_path, kind):
    for file in DATA.glob(f"state_2_{kind}*"):
        shutil.copy(file, tmp_path)
    policy = LinearAnnealedPolicy(EpsGreedyQPolicy(), "eps", 1.0, 0.1, 0.05, 200)
    agent = DQNAgent(
        model=build_model(4, 2, (4,)), policy=policy, nb_actions=2, memory=MEMORIES[kind](100), nb_steps_warmup=20
    )
    agent.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    count, agent.first = Count(), None
    state = TrainingState(tmp_path / f"state_2_{kind}", interval=50)
    agent.fit(environments.make("CartPole-v0"), 300, verbose=0, seed=5, callbacks=[count], state=state, resume=True)
    assert (agent.step, count.nb_steps) == (300, 300)
    assert agent.first == EXPECTED[kind]

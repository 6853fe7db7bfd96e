"""One run of Stable-Baselines3's DQN for benchmarks/speed.py: prints its figures as JSON."""

import argparse
import json
import resource
import time
import warnings

warnings.simplefilter("ignore")

import gymnasium  # noqa: E402
import stable_baselines3  # noqa: E402
import torch  # noqa: E402
from stable_baselines3.common.callbacks import BaseCallback  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int)
parser.add_argument("--first", type=int)
parser.add_argument("--last", type=int)
options = parser.parse_args()
torch.set_num_threads(1)


class Clock(BaseCallback):
    """Note when the measured steps begin and end."""

    def _on_step(self) -> bool:
        if self.num_timesteps == options.first:
            self.start = time.perf_counter()
        elif self.num_timesteps == options.last:
            self.end = time.perf_counter()
        elif self.num_timesteps == 12:  # the eleventh step, learned from, is over
            self.first_learned = time.time()
        return True


model = stable_baselines3.DQN(
    "MlpPolicy",
    gymnasium.make("CartPole-v0"),
    learning_rate=1e-3,
    buffer_size=50_000,
    learning_starts=10,
    batch_size=32,
    tau=0.01,
    target_update_interval=1,
    gamma=0.99,
    train_freq=1,
    gradient_steps=1,
    exploration_fraction=10_000 / options.last,
    exploration_final_eps=0.1,
    policy_kwargs={"net_arch": [16, 16, 16]},
    seed=options.seed,
    device="cpu",
)
clock = Clock()
model.learn(options.last, callback=clock)
print(
    json.dumps(
        {
            "seconds": clock.end - clock.start,
            "first_learned": clock.first_learned,
            "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "versions": {
                "stable_baselines3": stable_baselines3.__version__,
                "torch": torch.__version__,
                "gymnasium": gymnasium.__version__,
            },
        }
    )
)

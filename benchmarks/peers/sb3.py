"""One run of Stable-Baselines3's DQN or DDPG, or of SBX's DQN, for benchmarks/speed.py: prints its figures as JSON."""

import os
import warnings
from typing import Any

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["JAX_PLATFORMS"] = "cpu"
warnings.simplefilter("ignore")

import gymnasium  # noqa: E402
import numpy as np  # noqa: E402
import stable_baselines3  # noqa: E402
import torch  # noqa: E402
from common import Clock, arguments  # noqa: E402
from frames import Frames  # noqa: E402
from stable_baselines3.common.callbacks import BaseCallback  # noqa: E402
from stable_baselines3.common.env_util import make_vec_env  # noqa: E402
from stable_baselines3.common.noise import NormalActionNoise  # noqa: E402
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor  # noqa: E402
from stable_baselines3.common.vec_env import VecFrameStack  # noqa: E402


class Ticks(BaseCallback):
    """Let the clock count the steps."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def _on_step(self) -> bool:
        self.clock.tick(learned=self.model._n_updates > 0)
        return True


class Board(BaseFeaturesExtractor):
    """The convolution of atari.build_minatar_network, over boards [B, 10, 10, channels]."""

    def __init__(self, observation_space: gymnasium.spaces.Box) -> None:
        height, width, channels = observation_space.shape
        super().__init__(observation_space, features_dim=16 * (height - 2) * (width - 2))
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(channels, 16, 3), torch.nn.ReLU(), torch.nn.Flatten())

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return self.layers(observations.permute(0, 3, 1, 2))


def board() -> gymnasium.Env:
    import minatar.gym

    minatar.gym.register_envs()
    return gymnasium.make("MinAtar/Breakout-v1")


def work(options: Any) -> tuple[str, Any, dict[str, Any]]:
    """Return policy, environment and settings: those of speed_worker.py's `settings` in Stable-Baselines3's names."""
    name, burst, last = options.work, options.burst, options.last
    if name == "ddpg":
        env = gymnasium.make("Pendulum-v1")
        return "MlpPolicy", env, {
            "learning_rate": 1e-3, "buffer_size": 100_000, "learning_starts": 100, "tau": 0.001, "train_freq": 1,
            "gradient_steps": 1, "action_noise": NormalActionNoise(np.zeros(1), np.full(1, 0.2)),
            "policy_kwargs": {"net_arch": {"pi": options.hidden, "qf": options.critic_hidden}},
        }  # fmt: skip
    if name == "vectors":
        return "MlpPolicy", gymnasium.make("CartPole-v0"), {
            "learning_rate": 1e-3, "buffer_size": 50_000, "learning_starts": 10, "tau": 0.01,
            "target_update_interval": 1, "train_freq": burst, "gradient_steps": burst,
            "exploration_fraction": 10_000 / last, "exploration_final_eps": 0.1,
            "policy_kwargs": {"net_arch": options.hidden},
        }  # fmt: skip
    images = {
        "learning_starts": 100, "target_update_interval": 1_000, "train_freq": 4,
        "exploration_fraction": 100_000 / last, "exploration_final_eps": 0.1,
    }  # fmt: skip
    if name == "minatar":
        network = {"features_extractor_class": Board, "net_arch": [128]}
        return "CnnPolicy", board(), images | {
            "learning_rate": 1e-3, "buffer_size": 100_000, "policy_kwargs": network
        }  # fmt: skip
    env = make_vec_env(lambda: gymnasium.wrappers.ReshapeObservation(Frames(), (84, 84, 1)))
    return "CnnPolicy", VecFrameStack(env, 4), images | {"learning_rate": 2.5e-4, "buffer_size": 10_000}


def sbx_dqn() -> Any:
    """Return SBX's DQN with a network of three hidden layers: it takes only the first number of `net_arch`."""
    import sbx.dqn.policies
    from flax import linen

    class QNetwork(linen.Module):
        n_actions: int
        n_units: int
        activation_fn: Any

        @linen.compact
        def __call__(self, x: Any) -> Any:
            for _ in range(3):
                x = self.activation_fn(linen.Dense(self.n_units)(x))
            return linen.Dense(self.n_actions)(x)

    sbx.dqn.policies.QNetwork = QNetwork
    return sbx.DQN


def main() -> None:
    parser = arguments()
    parser.add_argument("--work", choices=["vectors", "ddpg", "minatar", "frames"], default="vectors")
    parser.add_argument("--hidden", type=int, nargs="+", default=[16, 16, 16], help="nodes of the hidden layers")
    parser.add_argument("--critic-hidden", type=int, nargs="+", default=[32, 32, 32])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--burst", type=int, default=1, help="steps between bursts of as many updates")
    parser.add_argument("--threads", type=int, default=1, help="0: as many as PyTorch takes")
    parser.add_argument("--sbx", action="store_true")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    policy, env, settings = work(options)
    kind = stable_baselines3.DDPG if options.work == "ddpg" else stable_baselines3.DQN
    if options.sbx:
        kind = sbx_dqn()
    model = kind(policy, env, batch_size=options.batch_size, gamma=0.99, seed=options.seed, device="cpu", **settings)
    clock = Clock(options.first, options.last)
    model.learn(options.last, callback=Ticks(clock))
    versions = {"stable_baselines3": stable_baselines3.__version__, "gymnasium": gymnasium.__version__}
    if options.sbx:
        import jax
        import sbx

        clock.report(sbx=sbx.__version__, jax=jax.__version__, **versions)
    else:
        clock.report(torch=torch.__version__, **versions)


if __name__ == "__main__":
    main()

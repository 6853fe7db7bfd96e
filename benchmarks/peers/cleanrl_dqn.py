"""One run of CleanRL's dqn.py or dqn_jax.py for benchmarks/speed.py: prints its figures as JSON.

The file runs as it stands in a checkout of CleanRL, but for its class QNetwork: that has three hidden layers here.
"""

import ast
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["JAX_PLATFORMS"] = "cpu"
warnings.simplefilter("ignore")

import gymnasium  # noqa: E402
import torch  # noqa: E402
from common import Clock, arguments  # noqa: E402

FIRST_LEARNED = 12  # it learns after step number `learning_starts`, of which the first is 0
NETWORKS = {
    "dqn": """
class QNetwork(nn.Module):
    def __init__(self, env):
        super().__init__()
        widths = [int(np.prod(env.single_observation_space.shape)), 16, 16, 16]
        hidden = [layer for sizes in zip(widths, widths[1:]) for layer in (nn.Linear(*sizes), nn.ReLU())]
        self.network = nn.Sequential(*hidden, nn.Linear(16, env.single_action_space.n))

    def forward(self, x):
        return self.network(x)
""",
    "dqn_jax": """
class QNetwork(nn.Module):
    action_dim: int

    @nn.compact
    def __call__(self, x):
        for _ in range(3):
            x = nn.relu(nn.Dense(16)(x))
        return nn.Dense(self.action_dim)(x)
""",
}


def program(file: Path) -> Any:
    """Return the file's code, with our network in the place of its own."""
    tree, (network,) = ast.parse(file.read_text()), ast.parse(NETWORKS[file.stem]).body
    names = [getattr(node, "name", None) for node in tree.body]
    tree.body[names.index("QNetwork")] = network
    return compile(tree, str(file), "exec")


def command_line(seed: int, last: int) -> list[str]:
    """Return the tutorial's settings in CleanRL's names."""
    settings = {
        "seed": seed, "env-id": "CartPole-v0", "total-timesteps": last, "learning-rate": 1e-3, "buffer-size": 50_000,
        "gamma": 0.99, "tau": 0.01, "target-network-frequency": 1, "batch-size": 32, "start-e": 1.0, "end-e": 0.1,
        "exploration-fraction": 10_000 / last, "learning-starts": 10, "train-frequency": 1,
    }  # fmt: skip
    return [part for name, value in settings.items() for part in (f"--{name}", str(value))]


def main() -> None:
    parser = arguments()
    parser.add_argument("--file", type=Path, required=True, help="cleanrl/dqn.py or cleanrl/dqn_jax.py of a checkout")
    options = parser.parse_args()
    torch.set_num_threads(1)
    file, clock = options.file.resolve(), Clock(options.first, options.last)

    class Timed(gymnasium.vector.SyncVectorEnv):
        def step(self, actions: Any) -> Any:
            result = super().step(actions)
            clock.tick(learned=clock.steps >= FIRST_LEARNED)
            return result

    gymnasium.vector.SyncVectorEnv = Timed
    sys.path.insert(0, str(file.parent.parent))  # of cleanrl_utils
    sys.argv = [str(file), *command_line(options.seed, options.last)]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # it writes its logs to runs/
        exec(program(file), {"__name__": "__main__", "__file__": str(file)})
        os.chdir(file.parent)
    versions = {"gymnasium": gymnasium.__version__, "torch": torch.__version__}
    if "jax" in sys.modules:
        versions["jax"] = sys.modules["jax"].__version__
    clock.report(**versions)


if __name__ == "__main__":
    main()

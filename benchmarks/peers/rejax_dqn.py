"""One run of rejax's DQN for benchmarks/speed.py: prints its figures as JSON.

The environment, gymnax's CartPole with the time limit of CartPole-v0, is compiled together with the agent. To be a
ceiling it must not go through its whole replay memory at each step, as rejax's own loop does: batches are drawn with
replacement, as elsewhere, and updates are unconditional.
"""

import importlib.metadata
import os
import time
import warnings
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"
warnings.simplefilter("ignore")

import jax  # noqa: E402
from common import Clock, arguments  # noqa: E402
from flax import linen  # noqa: E402
from rejax import DQN  # noqa: E402
from rejax.algos.algorithm import register_init  # noqa: E402
from rejax.buffers import Minibatch, ReplayBuffer  # noqa: E402
from rejax.networks import DiscreteQNetwork, EpsilonGreedyPolicy  # noqa: E402


class Memory(ReplayBuffer):
    """A replay memory that draws with replacement: rejax's sorts all of its steps to draw a batch."""

    def sample(self, num: int, rng: Any) -> Minibatch:
        rows = jax.random.randint(rng, (num,), 0, self.num_entries)
        return jax.tree.map(lambda part: part[rows], self.data)


class Ceiling(DQN):
    """The agent with an update at each step, the first ones included: a condition copies the memory."""

    @register_init
    def initialize_replay_buffer(self, rng: Any) -> dict[str, Memory]:
        return {"replay_buffer": Memory.empty(self.buffer_size, self.obs_space, self.action_space)}

    def train_iteration(self, ts: Any) -> Any:
        before = ts.global_step
        ts, step = self.collect_transitions(ts, self.epsilon_schedule(before))
        ts = ts.replace(replay_buffer=ts.replay_buffer.extend(step))
        rng, key = jax.random.split(ts.rng)
        ts = self.update(ts.replace(rng=rng), ts.replay_buffer.sample(self.batch_size, key))
        params = self.maybe_update_target_params(ts.q_ts.params, ts.q_target_params, ts.global_step, before)
        return ts.replace(q_target_params=params)


def agent() -> DQN:
    """Return the agent with the settings of the tutorial, without evaluations."""
    dqn = Ceiling.create(
        env="CartPole-v1",
        learning_rate=1e-3,
        buffer_size=50_000,
        batch_size=32,
        gamma=0.99,
        eps_end=0.1,
        polyak=0.99,
        ddqn=False,
        num_envs=1,
        skip_initial_evaluation=True,
    )
    network = EpsilonGreedyPolicy(DiscreteQNetwork)(
        hidden_layer_sizes=(16, 16, 16), action_dim=2, activation=linen.relu
    )
    limited = dqn.env_params.replace(max_steps_in_episode=200)
    return dqn.replace(agent=network, env_params=limited, eval_callback=lambda *_: 0)


def compiled(dqn: DQN, nb_steps: int, state: Any) -> Any:
    """Return the function, compiled for states like this one, that trains for so many steps."""
    dqn = dqn.replace(total_timesteps=nb_steps, eval_freq=nb_steps, exploration_fraction=10_000 / nb_steps)
    return jax.jit(lambda state: dqn.train(train_state=state)[0]).lower(state).compile()


def main() -> None:
    options = arguments().parse_args()
    dqn, clock = agent(), Clock(options.first, options.last)
    state = jax.jit(dqn.init_state)(jax.random.PRNGKey(options.seed))
    state = jax.block_until_ready(compiled(dqn, options.first, state)(state))
    clock.first_learned = time.time()
    train = compiled(dqn, options.last - options.first, state)
    clock.start = time.perf_counter()
    state = jax.block_until_ready(train(state))
    clock.end = time.perf_counter()
    assert int(state.global_step) == options.last
    packages = ("rejax", "gymnax", "jax")
    clock.report(**{package: importlib.metadata.version(package) for package in packages})


if __name__ == "__main__":
    main()

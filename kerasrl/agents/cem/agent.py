"""Keras-RL's CEMAgent."""

import os
from typing import Any

import numpy as np
import rl.agents.cem
import rl.core

from kerasrl.agents.discrete import DiscreteAgent
from kerasrl.errors import UserError
from kerasrl.learning import Trainable, fresh
from kerasrl.overrides import overrides
from kerasrl.plain import plain


class CEMAgent(DiscreteAgent, rl.agents.cem.CEMAgent):
    """The cross-entropy method (Szita & Lörincz 2006) with Keras-RL's arguments, defaults and methods.

    Each episode is played with weights drawn from a normal distribution, the first with the model's own. Now and then
    the distribution becomes that of the best of the episodes in memory. Actions are drawn by the softmax of the
    model's output in `fit`; in `test` the largest output decides.

    Unlike in Keras-RL, a `fit` that ends before anything was learned leaves the weights as they are, at least one
    episode counts as the best instead of all where the fraction gives none, the distribution stays until there are as
    many episodes as a batch has, large outputs do not overflow, and an episode's last reward counts whatever
    `memory_interval` is.

    Args:
        model: Keras model from states [B, window_length, *observation] to one number for each action [B, nb_actions].
        nb_actions: Number of actions.
        memory: kerasrl.EpisodeParameterMemory, or Keras-RL's.
        batch_size: Episodes drawn from memory to learn from.
        nb_steps_warmup: Steps before the distribution is changed for the first time.
        train_interval: Episodes between changes.
        elite_frac: Fraction of the batch that counts as the best.
        memory_interval: Steps between rewards that count; an episode's last one always does.
        theta_init: Means and standard deviations to begin with [2 * nb_weights]; 0 and 1 by default.
        noise_decay_const: Decay per step of the noise.
        noise_ampl: What is added to the standard deviations at step 0, against becoming narrow too soon.
        processor: rl.core.Processor between environment and agent.
        metadata: What weights files say about the agent besides the weights; anything JSON can hold.

    Attributes:
        theta: Means and standard deviations of the weights [2 * nb_weights].
        best_seen: The highest reward of an episode that was learned from, and its weights [nb_weights], which the model
            has after `fit`.
        episode: Number of episodes so far.

    Raises:
        UserError: The arguments do not go together.
    """

    _has_ended = False  # the episode, with the step before
    changed_by_acting = (*DiscreteAgent.changed_by_acting, "_has_ended")
    _after_own = rl.core.Agent
    _of_others = ("policy", "test_policy", "gamma", "delta_clip", "target_model_update", "gradient_steps", "n_step")
    _learns_from = "whole episodes, not by gradients"
    _num_best: int | None = None
    output_name = "scores"

    def __init__(
        self,
        model: Any,
        nb_actions: int,
        memory: Any,
        batch_size: int = 50,
        nb_steps_warmup: int = 1000,
        train_interval: int = 50,
        elite_frac: float = 0.05,
        memory_interval: int = 1,
        theta_init: np.ndarray | None = None,
        noise_decay_const: float = 0.0,
        noise_ampl: float = 0.0,
        *,
        processor: Any = None,
        metadata: dict[str, Any] | None = None,
        **others: Any,
    ) -> None:
        self._refuse_others(others)
        if others:
            raise TypeError(f"{type(self).__name__} got an unexpected keyword argument {next(iter(others))!r}")
        self._begin(metadata)
        rl.core.Agent.__init__(self, processor)  # past Keras-RL's CEMAgent, which takes the model as it is
        self.nb_actions, self.batch_size, self.elite_frac = nb_actions, batch_size, elite_frac
        self.nb_steps_warmup, self.train_interval, self.memory_interval = (
            nb_steps_warmup,
            train_interval,
            memory_interval,
        )
        self.noise_decay_const, self.noise_ampl = noise_decay_const, noise_ampl
        self.init_mean, self.init_stdev = 0.0, 1.0
        self.memory, self.model = memory, model
        weights = self._model.get_weights()
        self.shapes, self.sizes = [w.shape for w in weights], [w.size for w in weights]
        self.num_weights = sum(self.sizes)
        self.best_seen: tuple[float, np.ndarray] = (-np.inf, np.zeros(self.num_weights))
        self.theta = np.zeros(2 * self.num_weights)
        self.update_theta(theta_init)
        self.episode = 0
        self._check()
        self.reset_states()

    def _check(self) -> None:
        """Raise `UserError` unless what the agent was given, or given later, goes together."""
        if not hasattr(self.memory, "finalize_episode"):
            raise UserError(
                "CEMAgent learns from whole episodes: give it memory=EpisodeParameterMemory(limit=1000, "
                f"window_length=1), not a {type(self.memory).__name__}"
            )
        self._require(self.memory.window_length, "batch_size", "train_interval", "memory_interval")
        if not 0 < self.elite_frac <= 1:
            raise UserError(f"elite_frac must be above 0 and at most 1, not {self.elite_frac}")

    @property
    def num_best(self) -> int:
        """How many episodes of a batch count as the best: one at least, where Keras-RL takes all instead of none."""
        return max(1, int(self.batch_size * self.elite_frac)) if self._num_best is None else self._num_best

    @num_best.setter
    def num_best(self, number: int) -> None:
        self._num_best = number

    def bytes_per_entry(self) -> float | None:
        """Return how many bytes an episode in the memory takes: its weights, in 64 bits."""
        return 8.0 * float(self.num_weights)

    def compile(self, jit_compile: bool | str = "auto") -> None:
        """Get ready to act; `jit_compile` as in Keras: True compiles with XLA, 'auto' where it is possible."""
        self.trainables = {"learner": Trainable(self._model, fresh("sgd"), has_target=False, jit_compile=jit_compile)}
        self.compiled = True
        self.take_stock()

    def take_stock(self) -> None:
        """Find out what is overridden; raise `UserError` if the settings do not go together."""
        super().take_stock()
        self._check()
        self._asks_memory = self.memory.window_length > 1 or overrides(self.memory, "get_recent_state")

    # Weights as one vector

    def get_weights_flat(self, weights: list[np.ndarray]) -> np.ndarray:
        """Return a model's weights as one vector [nb_weights]."""
        return np.concatenate([np.zeros(0), *(np.ravel(array) for array in weights)])

    def get_weights_list(self, weights_flat: np.ndarray) -> list[np.ndarray]:
        """Return one vector [nb_weights] as a model's weights."""
        parts = np.split(weights_flat, np.cumsum(self.sizes)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def update_theta(self, theta: np.ndarray | None) -> None:
        """Set means and standard deviations [2 * nb_weights], by default the initial ones; `UserError` if wrong."""
        if theta is None:
            theta = np.repeat([float(self.init_mean), float(self.init_stdev)], self.num_weights)
        theta = np.asarray(theta)
        if theta.shape != (2 * self.num_weights,):
            raise UserError(
                f"theta has shape {theta.shape}, but the means and standard deviations of {self.num_weights} weights "
                f"have shape ({2 * self.num_weights},)"
            )
        if not np.isfinite(theta).all() or (theta[self.num_weights :] < 0).any():
            raise UserError("theta must be finite, and its second half, the standard deviations, not negative")
        self.theta = theta

    def start_from(self, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
        """Let a new training search around the weights of an earlier one; arguments and errors are `load_weights`'.

        The standard deviations are those that noise gives a search which has converged, or else the initial ones.
        """
        super().start_from(filepath, skip_mismatch)
        means = self.get_weights_flat(self.model.get_weights())
        self.update_theta(np.hstack([means, np.full(len(means), self.noise_ampl or self.init_stdev)]))

    def choose_weights(self) -> None:
        """Draw the weights of an episode."""
        mean, deviation = np.split(self.theta, 2)
        weights_flat = deviation * np.random.randn(self.num_weights) + mean
        self.model.set_weights(self.get_weights_list(weights_flat))

    # A step

    def reset_states(self) -> None:
        """Forget the recent action and observation."""
        super().reset_states()
        self._has_ended = False

    def select_action(self, state: list[Any], stochastic: bool = False) -> Any:
        """Return a legal action for a state: drawn by the softmax of the model's output, outside of `fit` the best."""
        output = self._network.output(self._inputs.of_states([state]))[0]
        if self.action_mask is not None:
            output = np.where(self.action_mask, output, -np.inf)
        if not (stochastic or self.training):
            return np.argmax(output)
        shares = np.exp(output.astype(np.float64) - output.max())
        return np.random.choice(self.nb_actions, p=shares / shares.sum())

    def forward(self, observation: Any) -> Any:
        """Choose an action for `observation`."""
        if not self._has_taken_stock:
            self.take_stock()
        state = self.memory.get_recent_state(observation) if self._asks_memory else [observation]
        action = self.select_action(state)
        self.recent_observation, self.recent_action = observation, action
        return action

    def backward(self, reward: float, terminal: bool) -> list[float]:
        """Count the reward; at an episode's end learn, when it is due, and draw the next one's weights."""
        if not self._has_taken_stock:
            self.take_stock()
        if terminal or self._has_ended or self.step % self.memory_interval == 0:
            self.remember(reward, terminal)
        self._has_ended = terminal
        metrics = [np.nan] * len(self.metrics_names)
        if not self.training or not terminal:
            return metrics
        self.memory.finalize_episode(self.get_weights_flat(self.model.get_weights()))
        if self.step - self.first_step > self.nb_steps_warmup and self.episode % self.train_interval == 0:
            self._check()
            metrics = [self._train()]
            if self.processor is not None:
                metrics += map(plain, self.processor.metrics)
        self.choose_weights()
        self.episode += 1
        return metrics

    def _train(self) -> float:
        """Fit the distribution to the best episodes of a batch, if there are enough; return their mean reward."""
        params, totals = self.memory.sample(self.batch_size)
        rewards = np.array(totals)
        best = np.argsort(rewards)[-self.num_best :]
        if rewards[best[-1]] > self.best_seen[0]:
            self.best_seen = (float(rewards[best[-1]]), params[best[-1]])
        enough = min(self.batch_size, getattr(self.memory, "limit", self.batch_size))  # else some are drawn repeatedly
        if getattr(self.memory, "nb_entries", enough) >= enough:
            chosen = np.vstack([params[i] for i in best])
            noise = self.noise_ampl * np.exp(-self.step * self.noise_decay_const)
            self.update_theta(np.hstack([chosen.mean(axis=0), chosen.std(axis=0) + noise]))
        return float(rewards[best].mean())

    @property
    def has_final_weights(self) -> bool:  # type: ignore[override]
        """Whether anything was learned from, the best of which a training ends with, and nobody has changed that."""
        return self.best_seen[0] > -np.inf and not overrides(self, "_on_train_end", "get_weights_list", "model")

    def take_final_weights(self) -> None:
        """Give the model the best weights that were learned from; Keras-RL does so after callbacks alone."""
        if self.has_final_weights:
            CEMAgent._on_train_end(self)

    def _on_train_end(self) -> None:
        if self.best_seen[0] > -np.inf:
            self.model.set_weights(self.get_weights_list(self.best_seen[1]))

    @property
    def metrics_names(self) -> list[str]:
        """Names of the values that `backward` returns: the best episodes' mean reward, then the processor's metrics."""
        names = ["mean_best_reward"]
        return [*names, *self.processor.metrics_names] if self.processor is not None else names

    # For `Loop` and `kerasrl.storage`

    def get_state(self) -> dict[str, Any]:
        """Return what the agent needs to continue between two episodes, except its memory."""
        own = {name: getattr(self, name) for name in ("theta", "best_seen", "episode")}
        return {**super().get_state(), **own}

    def set_state(self, state: dict[str, Any], warm_up: bool) -> None:
        """Continue from what `get_state` returned, as decoded; with `warm_up`, the warm-up starts here."""
        super().set_state(state, warm_up)
        self.update_theta(state["theta"])
        self.best_seen, self.episode = state["best_seen"], state["episode"]

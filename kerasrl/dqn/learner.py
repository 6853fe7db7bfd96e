"""The update of a deep Q-network, compiled into one TensorFlow call for each training step.

The call also returns the Q-values of the observation to act on next, so that learning and acting cost one
call together.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrl.dqn.compiled_call import CompiledCall
from kerasrl.dqn.dense import QValuesOfOne
from kerasrl.errors import Note, UserError

# Optimizers whose update of a weight depends on that weight alone, so that all weights may be one vector.
_ELEMENTWISE = (
    keras.optimizers.SGD,
    keras.optimizers.RMSprop,
    keras.optimizers.Adam,
    keras.optimizers.Adadelta,
    keras.optimizers.Adagrad,
    keras.optimizers.Adamax,
    keras.optimizers.Nadam,
    keras.optimizers.Ftrl,
    keras.optimizers.Lion,
)
# Up to this many weights one vector is faster than a variable for each: there are fewer variables to lock in a call.
# Beyond it the copying of slices costs more. A call, in microseconds, as a vector and as variables: 658 weights 55 and
# 80, 4,610 weights 49 and 75, 67,586 weights 242 and 212, 1,056,770 weights 6,833 and 2,527 (2 cores, 1 thread).
_VECTOR_LIMIT = 20_000
# Up to this many updates of a network with convolutions stand one after another in a call. In a compiled loop they have
# one thread and slow kernels: 8 updates of MinAtar's network take 31 ms there and 8 ms unrolled (2 cores). Each takes
# about a second more to compile. Dense networks are faster in a loop.
_UNROLL_LIMIT = 16


def huber_loss(error: tf.Tensor, clip_value: float) -> tf.Tensor:
    """Huber loss as rl.util.huber_loss has it: x^2 / 2 up to `clip_value`, linear beyond."""
    squared = 0.5 * tf.square(error)
    if np.isinf(clip_value):
        return squared
    size = tf.abs(error)
    return tf.where(size < clip_value, squared, clip_value * (size - 0.5 * clip_value))


def fresh(optimizer: Any) -> Any:
    """Return a Keras optimizer, named or given, that has not trained anything; raises what Keras raises."""
    optimizer = keras.optimizers.get(optimizer)
    if optimizer is None:
        raise ValueError("an optimizer is needed, such as Adam()")
    if optimizer.use_ema:
        raise ValueError("use_ema is not supported: the target network is this agent's moving average")
    # An optimizer's state belongs to one set of weights.
    return type(optimizer).from_config(optimizer.get_config()) if optimizer.built else optimizer


def named_metric(metric: Any) -> tuple[str, Any]:
    """Return a metric's name in the log and a Keras metric object."""
    found = keras.metrics.get(metric)
    if not isinstance(found, keras.metrics.Metric):
        found = keras.metrics.MeanMetricWrapper(found, name=getattr(found, "__name__", type(found).__name__))
    return (metric if isinstance(metric, str) else found.name), found


class Learner:
    """The online and the target network, the optimizer and their update.

    While all weights are kept in one vector (see `_VECTOR_LIMIT`), `model` lags behind until `synchronise`.

    Args:
        model: Keras model from states [B, W, *observation] to Q-values [B, nb_actions].
        optimizer: Keras optimizer, not built yet.
        metrics: Keras metrics of (target Q-values, Q-values), both [B, nb_actions]; as in Keras-RL the
            targets of actions that were not taken are 0.
        delta_clip: Size of the temporal-difference error above which the Huber loss is linear.
        double: Let the online network choose the next action and the target network estimate its value
            (van Hasselt et al. 2015).
        tau: Mixing rate of the soft target update after each update, None for hard updates on demand.
        batch_size: Transitions in an update.
        gradient_steps: Updates in one call.
        weighted: Whether transitions have weights, which multiply their losses (not the metrics); then `update` tells
            their errors.
        jit_compile: True or False, or 'auto': compile with XLA unless the model does not allow it.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        metrics: Sequence[Any] = (),
        *,
        delta_clip: float,
        double: bool,
        tau: float | None,
        batch_size: int,
        gradient_steps: int = 1,
        weighted: bool = False,
        jit_compile: bool | str = "auto",
    ) -> None:
        self.model, self.optimizer, self.metrics = model, optimizer, list(metrics)
        self.delta_clip, self.double, self.tau = delta_clip, double, tau
        self.batch_size, self.gradient_steps, self.jit_compile = batch_size, gradient_steps, jit_compile
        self.weighted = weighted
        self._has_convolutions = any(len(v.shape) > 2 for v in model.variables)
        if jit_compile and self._has_convolutions and gradient_steps > _UNROLL_LIMIT:
            warnings.warn(
                f"gradient_steps {gradient_steps} is slow with convolutions, which are fast up to {_UNROLL_LIMIT}",
                Note,
                stacklevel=3,
            )
        self._fresh_metrics = [[tf.convert_to_tensor(v).numpy() for v in m.variables] for m in self.metrics]
        self._shapes = [tuple(v.shape) for v in model.trainable_variables]
        self._as_vector = self._can_be_vector()
        if self._as_vector:
            self._online = [keras.Variable(self._vector(model.trainable_variables), name="weights")]
        else:
            self._online = list(model.trainable_variables)
        # The names of per-weight optimizer slots come from the variables, hence one build for either.
        optimizer.build(self._online)
        self._target = [tf.Variable(v.value, trainable=False) for v in self._online]
        # Statistics of normalisation layers are copied to the target network, states of seed generators are not.
        self._statistics = [v for v in model.non_trainable_variables if keras.backend.is_float_dtype(v.dtype)]
        self._target_statistics = [tf.Variable(v.value, trainable=False) for v in self._statistics]
        self._calls: dict[Any, CompiledCall] = {}
        self.model_is_behind = False
        self._of_one: QValuesOfOne | None = None
        if self._as_vector and self._online[0].dtype == "float32":
            self._of_one = QValuesOfOne(
                model, self._online[0], lambda state: self._call("q_values", self._q_values, [state])
            )

    def _can_be_vector(self) -> bool:
        variables, optimizer = self.model.trainable_variables, self.optimizer
        return (
            type(optimizer) in _ELEMENTWISE
            and optimizer.clipnorm is None  # a norm for each variable
            and optimizer.weight_decay is None  # may exclude variables by name
            and len({v.dtype for v in variables}) == 1
            and all(getattr(v, "constraint", None) is None for v in variables)
            and sum(int(np.prod(shape)) for shape in self._shapes) <= _VECTOR_LIMIT
        )

    # Weights in and out

    @staticmethod
    def _vector(variables: Sequence[Any]) -> tf.Tensor:
        return tf.concat([tf.reshape(tf.convert_to_tensor(v), [-1]) for v in variables], 0)

    def _split(self, weights: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Give the weights the shapes of the model's trainable variables."""
        if not self._as_vector:
            return list(weights)
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        return [tf.reshape(part, shape) for part, shape in zip(tf.split(weights[0], sizes), self._shapes, strict=True)]

    def synchronise(self) -> None:
        """Bring the model's variables up to date."""
        if self.model_is_behind:
            for variable, value in zip(self.model.trainable_variables, self._split(self._values()), strict=True):
                variable.assign(value)
            self.model_is_behind = False

    def read_model(self) -> None:
        """Take over the model's variables, which somebody may have changed."""
        if self._as_vector:
            self._online[0].assign(self._vector(self.model.trainable_variables))
        self._have_changed(False)

    def _have_changed(self, model_is_behind: bool) -> None:
        """Note that the weights are others than before, and whether those of the model are others than these."""
        self.model_is_behind = model_is_behind
        if self._of_one:
            self._of_one.is_behind = True

    def copy_target(self) -> None:
        """Hard update: make the target network equal to the online network."""
        for target, value in zip(self._target, self._values(), strict=True):
            target.assign(value)
        for target, source in zip(self._target_statistics, self._statistics, strict=True):
            target.assign(source.value)

    def write_target(self, model: Any) -> None:
        """Write the target network's weights into `model`, a clone of the online model."""
        for variable, value in zip(
            model.trainable_variables, self._split([tf.convert_to_tensor(v) for v in self._target]), strict=True
        ):
            variable.assign(value)
        statistics = [v for v in model.non_trainable_variables if keras.backend.is_float_dtype(v.dtype)]
        for variable, value in zip(statistics, self._target_statistics, strict=True):
            variable.assign(value)

    def read_target(self, model: Any) -> None:
        """Take over the weights of `model`, as `write_target` wrote them, for the target network."""
        values = model.trainable_variables
        for target, value in zip(
            self._target, [self._vector(values)] if self._as_vector else [v.value for v in values], strict=True
        ):
            target.assign(value)
        statistics = [v for v in model.non_trainable_variables if keras.backend.is_float_dtype(v.dtype)]
        for target, variable in zip(self._target_statistics, statistics, strict=True):
            target.assign(variable.value)

    def _values(self) -> list[tf.Tensor]:
        return [tf.convert_to_tensor(v) for v in self._online]

    def _all_variables(self) -> list[Any]:
        others = [*self.optimizer.variables, *self.model.non_trainable_variables]
        return [*self._online, *self._target, *self._target_statistics, *others]

    def get_state(self) -> list[np.ndarray]:
        """Return the values of all variables: networks, optimizer, generators of layers."""
        return [np.asarray(tf.convert_to_tensor(variable)) for variable in self._all_variables()]

    def set_state(self, state: list[np.ndarray]) -> None:
        """Continue from what `get_state` returned."""
        variables = self._all_variables()
        if [tuple(v.shape) for v in variables] != [array.shape for array in state]:
            raise UserError("the training state belongs to another network or another optimizer")
        for variable, value in zip(variables, state, strict=True):
            variable.assign(value)
        self._have_changed(self._as_vector)

    # Calls

    def q_values(self, states: list[np.ndarray]) -> np.ndarray:
        """Return the Q-values [B, nb_actions] of states, one array [B, W, *part] for each input."""
        if self._of_one and len(states) == 1 and len(states[0]) == 1 and states[0].dtype == np.float32:
            return self._of_one(states[0])
        return self._call("q_values", self._q_values, states)

    def update(
        self, states0: list[np.ndarray], states1: list[np.ndarray], rest: list[np.ndarray], upcoming: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Train on `gradient_steps` batches.

        Returns:
            The mean metrics, the Q-values of `upcoming` and, if `weighted`, the temporal-difference errors of the
            transitions [n], each before the update that it had a part in.

        Args:
            states0: States before the actions, an array [n, W, *part] for each input,
                n = gradient_steps * batch_size; or, with `states1` empty, both states as
                `Transitions.frames` holds them.
            states1: States after the actions.
            rest: Actions, rewards, what a unit of the next state is worth and, if `weighted`, weights, each [n].
            upcoming: The state to act on next, an array [1, W, *part] for each input.
        """
        arrays = [*states0, *states1, *upcoming, *rest]
        result = self._call(("update", len(states1)), self._update, arrays)
        self._have_changed(self._as_vector)
        nb_metrics = 1 + len(self.metrics)
        nb_known = nb_metrics + (len(rest[0]) if self.weighted else 0)
        return result[:nb_metrics], result[nb_known:], result[nb_metrics:nb_known]

    def _call(self, name: Any, function: Callable[..., tf.Tensor], arrays: list[np.ndarray]) -> np.ndarray:
        key = (name, *[(a.shape, a.dtype.char) for a in arrays])
        call = self._calls.get(key)
        if call is not None:
            return call(arrays)
        if self.jit_compile == "auto":
            try:
                return self._compiled(key, function, arrays, True)
            except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, tf.errors.NotFoundError):
                # An operation without an XLA kernel; a mistake of the caller's is raised again below.
                self.jit_compile = False
        return self._compiled(key, function, arrays, bool(self.jit_compile))

    def _compiled(
        self, key: Any, function: Callable[..., tf.Tensor], arrays: list[np.ndarray], jit_compile: bool
    ) -> np.ndarray:
        call = CompiledCall(function, arrays, jit_compile)
        result = call(arrays)
        self._calls[key] = call
        return result

    # Graphs

    def _forward(
        self, weights: list[tf.Tensor], others: list[Any], states: list[tf.Tensor], training: bool
    ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]:
        """Return Q-values [B, nb_actions], the new values of the other variables, and extra losses."""
        expected = keras.tree.flatten(self.model.inputs)
        if [s.shape[1:].rank for s in states] != [len(i.shape) - 1 for i in expected] or not all(
            s.shape[1:].is_compatible_with(i.shape[1:]) for s, i in zip(states, expected, strict=True)
        ):
            raise UserError(
                f"the model takes states of shape {', '.join(str(tuple(i.shape[1:])) for i in expected)}, but "
                f"window_length and observations give {', '.join(str(tuple(s.shape[1:])) for s in states)}"
            )
        inputs = [tf.cast(s, i.dtype) for s, i in zip(states, expected, strict=True)]
        structured = keras.tree.pack_sequence_as(self.model.input, inputs)
        result: tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]] = self.model.stateless_call(
            weights, others, structured, training=training, return_losses=True
        )
        return result

    def _others(self, statistics: Sequence[Any] | None = None) -> list[Any]:
        """Return the values of the variables that are not trained, with `statistics` in their places."""
        replacements = iter(statistics or ())
        replaced = {id(v) for v in self._statistics} if statistics else set()
        return [
            tf.convert_to_tensor(next(replacements) if id(v) in replaced else v)
            for v in self.model.non_trainable_variables
        ]

    def _q_values(self, *states: tf.Tensor) -> tf.Tensor:
        return self._forward(self._split(self._values()), self._others(), list(states), False)[0]

    def _update(self, *arrays: tf.Tensor) -> tf.Tensor:
        nb_inputs = len(keras.tree.flatten(self.model.inputs))
        nb_states = len(arrays) - (4 if self.weighted else 3)
        states, (actions, *rest) = arrays[:nb_states], arrays[nb_states:]
        transitions, upcoming = states[:-nb_inputs], states[-nb_inputs:]
        if len(transitions) == nb_inputs:
            window = upcoming[0].shape[1]
            states0, states1 = [s[:, :window] for s in transitions], [s[:, -window:] for s in transitions]
        else:
            states0, states1 = list(transitions[:nb_inputs]), list(transitions[nb_inputs:])
        batches = [*states0, *states1, tf.cast(actions, tf.int32), *rest]
        known = self._update_once(*batches) if self.gradient_steps == 1 else self._update_repeatedly(batches)
        q_values = self._q_values(*upcoming)[0]
        return tf.concat([*known, tf.cast(q_values, tf.float32)], 0)

    def _update_repeatedly(self, batches: list[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the mean of the metrics over one update for each batch, and all errors."""
        split = [tf.reshape(b, [self.gradient_steps, self.batch_size, *b.shape[1:]]) for b in batches]
        if self._has_convolutions and self.gradient_steps <= _UNROLL_LIMIT:
            results = [self._update_once(*[b[i] for b in split]) for i in range(self.gradient_steps)]
            metrics, all_errors = zip(*results, strict=True)
            return tf.add_n(metrics) / self.gradient_steps, tf.concat(all_errors, 0)

        def update(i: tf.Tensor, total: tf.Tensor, errors: tf.TensorArray) -> Any:
            metrics, error = self._update_once(*[b[i] for b in split])
            return i + 1, total + metrics, errors.write(i, error)

        nb_errors = self.batch_size if self.weighted else 0
        errors = tf.TensorArray(tf.float32, self.gradient_steps, element_shape=[nb_errors])
        _, total, errors = tf.while_loop(
            lambda i, *_: i < self.gradient_steps,
            update,
            [tf.constant(0), tf.zeros(1 + len(self.metrics)), errors],
        )
        return total / self.gradient_steps, errors.concat()

    def _update_once(self, *batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Train on one batch and move the target network; return loss and metrics, and the errors if `weighted`."""
        nb_states = len(batch) - (4 if self.weighted else 3)
        states, (actions, rewards, discounts, *weights_of_losses) = list(batch[:nb_states]), batch[nb_states:]
        states0, states1 = states[: len(states) // 2], states[len(states) // 2 :]
        weights, others = self._split(self._values()), self._others()
        targets = rewards + discounts * self._values_of(states1, weights, others)
        taken = tf.one_hot(actions, self.model.output.shape[-1])
        with tf.GradientTape() as tape:
            tape.watch(weights)
            q_values, new_others, losses = self._forward(weights, others, states0, True)
            error = targets - tf.reduce_sum(tf.cast(q_values, tf.float32) * taken, -1)
            error_losses = huber_loss(error, self.delta_clip)
            for importance in weights_of_losses:
                error_losses = importance * error_losses
            loss = tf.add_n([tf.reduce_mean(error_losses), *losses])
            scaled_loss = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        self.optimizer.apply([self._vector(gradients)] if self._as_vector else gradients, self._online)
        for variable, old, new in zip(self.model.non_trainable_variables, others, new_others, strict=True):
            if new is not old:
                variable.assign(new)
        if self.tau is not None:
            self._move_target(self.tau)
        known = tf.stack([loss, *self._results(taken * targets[:, None], q_values)])
        return known, error if self.weighted else error[:0]

    def _values_of(self, states1: list[tf.Tensor], weights: list[tf.Tensor], others: list[Any]) -> tf.Tensor:
        """Return what the next states are worth [B]: the target network's value of the best action."""
        target = self._split([tf.convert_to_tensor(v) for v in self._target])
        values = self._forward(target, self._others(self._target_statistics), states1, False)[0]
        if self.double:
            best = tf.argmax(self._forward(weights, others, states1, False)[0], -1)
            return tf.cast(tf.gather(values, best, batch_dims=1), tf.float32)
        return tf.cast(tf.reduce_max(values, -1), tf.float32)

    def _move_target(self, tau: float) -> None:
        """Soft update of Lillicrap et al. 2015: target = tau * online + (1 - tau) * target."""
        sources, targets = [*self._online, *self._statistics], [*self._target, *self._target_statistics]
        for source, target in zip(sources, targets, strict=True):
            target.assign(tau * tf.convert_to_tensor(source) + (1.0 - tau) * target)

    def _results(self, targets: tf.Tensor, q_values: tf.Tensor) -> list[tf.Tensor]:
        results = []
        for metric, fresh in zip(self.metrics, self._fresh_metrics, strict=True):
            variables = metric.stateless_update_state(fresh, targets, q_values)
            results.append(tf.cast(metric.stateless_result(variables), tf.float32))
        return results

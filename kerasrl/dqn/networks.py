"""The Keras models that callers may hold and change, beside the learner's own copy of their weights."""

from typing import Any

import keras

from kerasrl.dqn.learner import Learner


class Networks:
    """Shows callers models that are true, and takes over what callers change in them.

    Nobody tells when a caller changes the weights of a model. So the learner reads a model again, before it computes,
    if the model was handed out since it last did; outside of `fit` and `test`, where time does not matter, always.

    Args:
        model: The online network.
        learner: What trains it.
        custom_objects: Classes by name, needed to copy a model that holds them.
    """

    def __init__(self, model: Any, learner: Learner, custom_objects: dict[str, Any]) -> None:
        self._model, self._learner, self._custom_objects = model, learner, custom_objects
        self._target: Any = None
        self._handed_out: set[str] = set()  # 'online', 'target'
        self.is_in_loop = False  # whether `fit` or `test` is running

    def online(self) -> Any:
        """Return the online network, brought up to date; what the caller changes in it takes effect."""
        self._learner.synchronise()
        self._handed_out.add("online")
        return self._model

    def target(self) -> Any:
        """Return a copy of the target network; what the caller changes in it takes effect."""
        if self._target is None:
            with keras.saving.custom_object_scope(self._custom_objects):
                self._target = keras.models.clone_model(self._model)
        self.learner().write_target(self._target)
        self._handed_out.add("target")
        return self._target

    def learner(self) -> Learner:
        """Return the learner, with what callers may have changed in the models they hold."""
        if not self.is_in_loop and not self._learner.model_is_behind:
            self._handed_out.add("online")  # whoever holds the model may have changed it
        if self._handed_out:
            if "online" in self._handed_out:
                self._learner.read_model()
            if "target" in self._handed_out:
                self._learner.read_target(self._target)
            self._handed_out.clear()
        return self._learner

    def synchronise(self) -> None:
        """Bring the online network up to date for whoever holds a reference to it."""
        self._learner.synchronise()

"""What agents share that choose among a number of actions by the output of one model."""

from typing import Any

from kerasrl.agents.base import Agent
from kerasrl.agents.masking import random_number
from kerasrl.errors import UserError
from kerasrl.learning import ModelInputs, Trainable
from kerasrl.learning.inputs import usable


class DiscreteAgent(Agent):
    """An agent with a model from states [B, W, *observation] to one number for each action [B, nb_actions]."""

    nb_actions: int
    is_discrete = True
    _model: Any = None
    _inputs: ModelInputs  # of the model

    def _require(self, window_length: int, *counts: str) -> None:
        """Find out how the model takes states; raise `UserError` unless it fits, and `counts` are at least 1."""
        for name in ("nb_actions", *counts):
            if not getattr(self, name) >= 1:
                raise UserError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self._model.output.shape[1:] != (self.nb_actions,):
            raise UserError(
                f"the model's output has shape {self._model.output.shape}, but {type(self).__name__} expects one "
                f"dimension for each action: (None, {self.nb_actions})"
            )
        self._inputs = ModelInputs(self._model, self.processor, window_length, self.normalizer)

    @property
    def model(self) -> Any:
        """The network. Reading it brings it up to date; changes to it take effect."""
        return self._network.online() if self.trainables else self._model

    @model.setter
    def model(self, model: Any) -> None:
        if self.compiled:
            raise UserError("the model of a compiled agent cannot be replaced; make a new agent")
        self._model = usable(model, "a number for each action [B, nb_actions]")

    @property
    def _network(self) -> Trainable:
        if not self.trainables:
            raise RuntimeError("the agent has not been compiled yet: call compile() first")
        return self.trainables["learner"]

    def _networks(self) -> Any:
        self.synchronise()
        return self._model

    def random_action(self, env: Any) -> Any:
        """Return one of the agent's actions; those of the environment may be others, which a processor makes of it."""
        return random_number(self, env)

"""Keras-RL's agents and its first annealed policy, with the defaults of the script's Keras-RL."""

from typing import Any

import rl.memory
from rl.policy import EpsGreedyQPolicy, LinearAnnealedPolicy

import kerasrl
from kerasrl.legacy.keras_rl.agent import OldAgent
from kerasrl.legacy.report import report
from kerasrl.legacy.script import script

_NOT_GIVEN: Any = object()


class DQNAgent(OldAgent, kerasrl.DQNAgent):
    """This project's DQNAgent for old scripts; args are those of `OldAgent`, and:

    enable_double_dqn: True by default in keras-rl, False in keras-rl2.
    """

    def __init__(
        self,
        model: Any,
        policy: Any = None,
        test_policy: Any = None,
        enable_double_dqn: bool = _NOT_GIVEN,
        enable_dueling_network: bool = False,
        dueling_type: str = "avg",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        is_keras_rl_1 = script.is_for_keras_rl_1()
        if enable_double_dqn is _NOT_GIVEN:
            enable_double_dqn = is_keras_rl_1
            if is_keras_rl_1:
                report.differs(
                    "DQNAgent learns with double DQN, the default of keras-rl 0.4.2, for which scripts with plain "
                    "keras were written; --keras-rl 2 chooses the default of keras-rl2, plain DQN"
                )
        if enable_dueling_network and dueling_type == "avg" and is_keras_rl_1:
            report.differs("the dueling network's mean is over actions; in keras-rl 0.4.2 it was over the batch too")
        dueling = enable_dueling_network, dueling_type
        self._start(kerasrl.DQNAgent, (model, policy, test_policy, enable_double_dqn, *dueling, *args), kwargs)


class NAFAgent(OldAgent, kerasrl.NAFAgent):
    """This project's NAFAgent for old scripts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._start(kerasrl.NAFAgent, args, kwargs)


ContinuousDQNAgent = NAFAgent


class DDPGAgent(OldAgent, kerasrl.DDPGAgent):
    """This project's DDPGAgent for old scripts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._start(kerasrl.DDPGAgent, args, kwargs)


class SARSAAgent(OldAgent, kerasrl.SARSAAgent):
    """This project's SARSAAgent for old scripts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._start(kerasrl.SARSAAgent, args, kwargs)


SarsaAgent = SARSAAgent


class CEMAgent(OldAgent, kerasrl.CEMAgent):
    """This project's CEMAgent for old scripts, some of which give it another agent's memory."""

    def __init__(
        self,
        model: Any,
        nb_actions: int,
        memory: Any,
        batch_size: int = 50,
        nb_steps_warmup: int = 1000,
        train_interval: int = 50,
        elite_frac: float = 0.05,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if isinstance(memory, rl.memory.SequentialMemory):
            report.translated("CEMAgent(memory=SequentialMemory) -> EpisodeParameterMemory")
            memory = kerasrl.EpisodeParameterMemory(memory.limit, window_length=memory.window_length)
        if int(batch_size * elite_frac) < 1:
            report.differs(f"elite_frac {elite_frac} of {batch_size} episodes are none; all count, as in Keras-RL")
            elite_frac = 1.0
        first = batch_size, nb_steps_warmup, train_interval, elite_frac
        self._start(kerasrl.CEMAgent, (model, nb_actions, memory, *first, *args), kwargs)


class OrnsteinUhlenbeckProcess(kerasrl.OrnsteinUhlenbeckProcess):
    """The noise of the script's Keras-RL: until 0.4.2 an episode's began at `x0`, which came before `size`, or at 0."""

    def __init__(
        self, theta: float, mu: float = 0.0, sigma: float = 1.0, dt: float = 1e-2, *args: Any, **kwargs: Any
    ) -> None:
        if script.is_for_keras_rl_1():
            x0 = args[0] if args else kwargs.get("x0")
            args, kwargs["x0"] = args[1:], 0.0 if x0 is None else x0
        super().__init__(theta, mu, sigma, dt, *args, **kwargs)


class AnnealedQPolicy(LinearAnnealedPolicy):
    """LinearAnnealedPolicy as in keras-rl 0.1, where it was epsilon-greedy at first and needed no arguments.

    Args are those of LinearAnnealedPolicy; `nb_annealing_steps` is another name for `nb_steps`.
    """

    def __init__(
        self,
        inner_policy: Any = None,
        attr: str = "eps",
        value_max: float = 1.0,
        value_min: float = 0.1,
        value_test: float = 0.05,
        nb_steps: int = 10_000,
        nb_annealing_steps: int | None = None,
    ) -> None:
        report.translated("AnnealedQPolicy -> LinearAnnealedPolicy")
        inner_policy = EpsGreedyQPolicy() if inner_policy is None else inner_policy
        super().__init__(inner_policy, attr, value_max, value_min, value_test, nb_annealing_steps or nb_steps)

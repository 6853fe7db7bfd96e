"""The agents, by the names that options, settings and files call them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from kerasrl.config.other_agents import CEMConfig, DDPGConfig, NAFConfig, SARSAConfig
from kerasrl.config.settings import Config
from kerasrl.errors import UserError

AnyConfig: TypeAlias = Config | DDPGConfig | NAFConfig | SARSAConfig | CEMConfig


@dataclass(frozen=True)
class AgentKind:
    """What the commands have to know of an agent without importing it."""

    settings: type[Any]
    """The class of its settings."""
    actions: Literal["discrete", "continuous"]
    """Which actions it takes."""
    suffixes: tuple[str, ...] = ("",)
    """What is added to the name of a weights file, before .h5f."""
    networks: tuple[str, ...] = ("model",)
    """What a function of one's own that builds its networks returns."""


DQN = "dqn"  # the agent if none is named
AGENTS: dict[str, AgentKind] = {
    DQN: AgentKind(Config, "discrete"),
    "ddpg": AgentKind(
        DDPGConfig, "continuous", suffixes=("_actor", "_critic"), networks=("actor", "critic", "critic_action_input")
    ),
    "naf": AgentKind(NAFConfig, "continuous", networks=("V_model", "L_model", "mu_model")),
    "sarsa": AgentKind(SARSAConfig, "discrete"),
    "cem": AgentKind(CEMConfig, "discrete"),
}


def require_agent(name: Any) -> str:
    """Return the name of an agent; raise `UserError` if there is none of that name."""
    if not isinstance(name, str) or name not in AGENTS:
        raise UserError(f"there is no agent {name!r:.60}; the agents are {listed(list(AGENTS), 'and')}")
    return name


def agents_for(actions: str) -> list[str]:
    """Return the agents that take discrete or continuous actions."""
    return [name for name, kind in AGENTS.items() if kind.actions == actions]


def owners(setting: str) -> list[str]:
    """Return the agents that have a setting."""
    return [
        name for name, kind in AGENTS.items() if setting in {field.name for field in dataclasses.fields(kind.settings)}
    ]


def listed(names: Sequence[str], conjunction: str) -> str:
    """Return names as a list in words."""
    return f" {conjunction} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))

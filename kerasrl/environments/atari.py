"""The names that Atari games had in gym, and what each name meant.

ale_py registers `Breakout-v0`, `BreakoutNoFrameskip-v4` and the like with Gymnasium; `...Deterministic-v4` and
`-ram-v0`, which gym had until 0.25, are registered here.
"""

import re
from typing import Any

GAMES = (
    "Adventure|AirRaid|Alien|Amidar|Assault|Asterix|Asteroids|Atlantis|BankHeist|BattleZone|BeamRider|Berzerk|"
    "Bowling|Boxing|Breakout|Carnival|Centipede|ChopperCommand|CrazyClimber|Defender|DemonAttack|DoubleDunk|"
    "ElevatorAction|Enduro|FishingDerby|Freeway|Frostbite|Gopher|Gravitar|Hero|IceHockey|Jamesbond|JourneyEscape|"
    "Kangaroo|Krull|KungFuMaster|MontezumaRevenge|MsPacman|NameThisGame|Phoenix|Pitfall|Pong|Pooyan|PrivateEye|"
    "Qbert|Riverraid|RoadRunner|Robotank|Seaquest|Skiing|Solaris|SpaceInvaders|StarGunner|Tennis|TimePilot|"
    "Tutankham|UpNDown|Venture|VideoPinball|WizardOfWor|YarsRevenge|Zaxxon"
)
_NAME = re.compile(rf"({GAMES})(-ram)?(Deterministic|NoFrameskip)?-v([04])")


def options(name: str) -> dict[str, Any] | None:
    """Return the arguments of `ale_py.env.AtariEnv` that a name of gym stands for, None if it is not Atari's.

    The numbers are those of gym/envs/__init__.py: frames for each action, probability of repeating the last action.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    game, ram, kind, version = match.groups()
    deterministic = 3 if game == "SpaceInvaders" else 4  # with 4, its flickering shots would never be seen
    return {
        "game": re.sub(r"(?<!^)(?=[A-Z])", "_", game).lower(),
        "obs_type": "ram" if ram else "rgb",
        "frameskip": {None: (2, 5), "Deterministic": deterministic, "NoFrameskip": 1}[kind],
        "repeat_action_probability": 0.25 if version == "0" else 0.0,
        "full_action_space": False,
        "max_num_frames_per_episode": 108_000,
    }


def register(name: str) -> None:
    """Register the Atari game that had a name in gym, if there is one, with Gymnasium, which has to be installed."""
    arguments = options(name)
    if arguments is None:
        return
    import ale_py
    import gymnasium

    gymnasium.register_envs(ale_py)
    if name not in gymnasium.registry:
        gymnasium.register(id=name, entry_point="ale_py.env:AtariEnv", kwargs=arguments)

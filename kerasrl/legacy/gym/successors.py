"""Names of environments that gym has had since 2016, and which of today's environments stand in for them."""

import re
from collections.abc import Iterable

# What changed, in gym's own words: name -> {version: what came with it}.
CHANGES: dict[str, dict[int, str]] = {
    "Acrobot": {1: "it observes the angles' sines and cosines (6 numbers instead of 4) and lasts 500 steps"},
    "BipedalWalker": {1: "stronger motors", 2: "energy counts", 3: "the lidar shows the nearest, not the farthest"},
    "BipedalWalkerHardcore": {1: "stronger motors", 2: "energy counts", 3: "the lidar shows the nearest"},
    "Blackjack": {1: "a natural is rewarded correctly"},
    "CarRacing": {1: "the lap ends differently", 2: "the lap ends differently"},
    "CartPole": {1: "it lasts 500 steps instead of 200"},
    "FrozenLake": {1: "its rewards were corrected"},
    "FrozenLake8x8": {1: "its rewards were corrected"},
    "LunarLander": {1: "it sees contact with the ground", 2: "energy counts", 3: "its wind was corrected"},
    "Pendulum": {1: ""},  # the same, calculated more simply
    "Taxi": {1: "a location moved", 2: "no start at the goal", 3: "its map was corrected"},
}
# Environments that gym dropped without a successor: release -> names without their versions.
REMOVED: dict[str, tuple[str, ...]] = {
    "0.8": (
        "SemisuperPendulumNoise", "SemisuperPendulumRandom", "SemisuperPendulumDecay", "OffSwitchCartpole",
        "PredictActionsCartpole", "PredictObsCartpole", "OneRoundDeterministicReward", "TwoRoundDeterministicReward",
        "OneRoundNondeterministicReward", "TwoRoundNondeterministicReward", "ConvergenceControl", "Hex9x9", "Go9x9",
        "Go19x19", "CNNClassifierTraining",
    ),
    "0.20": (
        "NChain", "Roulette", "GuessingGame", "HotterColder", "KellyCoinflip", "KellyCoinflipGeneralized", "Copy",
        "RepeatCopy", "DuplicatedInput", "Reverse", "ReversedAddition", "ReversedAddition3", "CubeCrash",
        "CubeCrashSparse", "CubeCrashScreenBecomesBlack", "MemorizeDigits",
    ),
}  # fmt: skip
# Those that MuJoCo simulates: name -> what came with version 5. Before version 4 they need mujoco-py, which no Python
# that is supported can build.
_MUJOCO: dict[str, str] = {
    "Ant": "it observes 105 numbers instead of 111, and is paid for its health only while it has it",
    "HalfCheetah": "", "Hopper": "it is paid for its health only while it has it",
    "Humanoid": "it observes 348 numbers instead of 376, and is paid for its health only while it has it",
    "HumanoidStandup": "it observes 348 numbers instead of 376",
    "InvertedDoublePendulum": "it observes 9 numbers instead of 11, and the last step does not pay",
    "InvertedPendulum": "the last step does not pay", "Pusher": "its object is heavier, its reward a step earlier",
    "Reacher": "it observes 10 numbers instead of 11, its reward comes a step earlier", "Swimmer": "",
    "Walker2d": "its feet slide less, and it is paid for its health only while it has it",
}  # fmt: skip
CHANGES |= {name: {4: "a newer MuJoCo", **({5: new} if new else {})} for name, new in _MUJOCO.items()}
_NAME = re.compile(r"(?P<name>(?:[\w:-]+/)?[\w:.-]+?)-v(?P<version>\d+)")


def successor(name: str, known: Iterable[str]) -> str | None:
    """Return which of the `known` environments stands in for one that is not among them.

    This is the next newer version, else the newest one; None if no version is known.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    others = [found for other in known if (found := _NAME.fullmatch(other)) and found["name"] == match["name"]]
    versions = sorted(int(other["version"]) for other in others)
    newer = [version for version in versions if version > int(match["version"])]
    return f"{match['name']}-v{newer[0] if newer else versions[-1]}" if versions else None


def of_mujoco(name: str) -> str | None:
    """Return today's version of an older environment that MuJoCo simulates, None for any other."""
    match = _NAME.fullmatch(name)
    is_older = match is not None and match["name"] in _MUJOCO and int(match["version"]) < 5
    return f"{match['name']}-v5" if match is not None and is_older else None


def changes(name: str, today: str) -> str:
    """Return what is different in today's version, '' if nothing is."""
    before, after = _NAME.fullmatch(name), _NAME.fullmatch(today)
    if before is None or after is None:
        return "its dynamics may differ"
    table = CHANGES.get(before["name"], {})
    since = [table[v] for v in range(int(before["version"]) + 1, int(after["version"]) + 1) if v in table]
    return "; ".join(dict.fromkeys(since)) if since else "its dynamics may differ"


def removed_in(name: str) -> str | None:
    """Return the release of gym that dropped an environment for good, None if that is not known of any."""
    plain = name.rpartition("-v")[0]
    return next((release for release, names in REMOVED.items() if plain in names), None)

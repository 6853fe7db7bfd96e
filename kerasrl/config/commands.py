"""The options of each command except `train`, whose options are a training's settings."""

import os
from dataclasses import dataclass, field, fields
from typing import Annotated, Literal

from msgspec import Meta

from kerasrl.config.checks import check
from kerasrl.config.settings import Arguments, Count, CountOrZero, File, Folder, ModuleName, Name, Reward, Seed
from kerasrl.errors import UserError
from kerasrl.phrases import called, to_give

Weights = Annotated[
    File,
    "Weights that train.py saved, or that keras-rl or keras-rl2 saved for the tutorial's model; of a pair, either "
    "file.",
]

PlayEnv = Annotated[Name | None, "Environment to play in. By default the one trained in."]
PlayEnvArg = Annotated[
    Arguments, "Argument for what makes the environment, in place of all those of the weights; may be given repeatedly."
]


@dataclass(frozen=True)
class PlayConfig:
    """Play with saved weights. A weights file carries its settings, so no other options are needed."""

    weights: Weights
    episodes: Annotated[Count, "Episodes to play."] = 5
    visualize: Annotated[bool, "Show the environment in a window, at natural speed."] = False
    record: Annotated[File, "Film the episodes to a .gif or .mp4 file. Needs no screen."] = ""
    env: PlayEnv = None
    env_arg: PlayEnvArg = field(default_factory=dict)
    network: Annotated[ModuleName, "module:function that builds the network, if the weights do not name it."] = ""
    processor: Annotated[ModuleName, "module:Class of the processor, if the weights do not name it."] = ""
    recipe: Annotated[File, "Your own train.py, if the weights were trained with it."] = ""
    seed: Annotated[Seed | None, "Seed of the episodes. Without it, they are random."] = None
    trust: Annotated[bool, "Import the modules that the weights file names, even if no option does."] = False

    def __post_init__(self) -> None:
        check(self)
        if self.record and self.visualize:
            raise UserError("record and visualize cannot be used together: a film needs no window")


@dataclass(frozen=True)
class PlotConfig:
    """Draw the learning curve of a run, or those of several runs with their mean and its 95% interval.

    Runs that differ only in seed, length, evaluations and output share a colour. Their settings are read from the
    ..._config.toml beside each log; without one, logs of the same name count as alike.
    """

    logs: Annotated[
        tuple[Annotated[str, Meta(title="LOG")], ...],
        "Logs that train.py or Keras-RL's FileLogger wrote, or folders of runs, such as those that tune leaves.",
    ]
    label: Annotated[
        tuple[Name, ...], "A name for each log or folder, in the same order; those with the same name share a colour."
    ] = ()
    also: Annotated[tuple[Name, ...], "Other columns of the logs to draw, such as is_success or nb_episode_steps."] = ()
    out: Annotated[
        File | None,
        "Picture to write, .png, .svg or .pdf. By default ..._curve.png beside ..._log.json, or curves.png.",
    ] = None
    threshold: Annotated[
        Reward | None, "Reward to draw as a line. By default the one at which the environment counts as solved."
    ] = None


@dataclass(frozen=True)
class ExportConfig:
    """Write a trained network to a file for other programs, and check that it acts the same there."""

    weights: Weights
    to: Annotated[
        File, "File to write, .onnx, .tflite or .keras; without an extension, a folder for TensorFlow Serving."
    ]
    overwrite: Annotated[bool, "Replace the file if it exists."] = False
    episodes: Annotated[Count, "Episodes to play with the file, as a check."] = 10
    env: PlayEnv = None
    env_arg: PlayEnvArg = field(default_factory=dict)
    network: Annotated[ModuleName, "module:function that builds the network, if the weights do not name it."] = ""
    processor: Annotated[ModuleName, "module:Class of the processor, if the weights do not name it."] = ""
    recipe: Annotated[File, "Your own train.py, if the weights were trained with it."] = ""
    seed: Annotated[Seed, "Seed of the episodes."] = 0
    trust: Annotated[bool, "Import the modules that the weights file names, even if no option does."] = False

    def to_play(self) -> PlayConfig:
        """Return the options with which `test` would read these weights; raises `UserError` as they do."""
        known = {field.name for field in fields(PlayConfig)}
        return PlayConfig(**{name: value for name, value in vars(self).items() if name in known})


@dataclass(frozen=True)
class TuneConfig:
    """Train with many seeds, or search for better settings. Takes the options of train, except for seed and folders."""

    seeds: Annotated[
        str | None,
        Meta(title="SEEDS"),
        "Train with each of these seeds: 10 means 0 to 9; 3,17,40 and 20-29 mean those.",
    ] = None
    space: Annotated[
        File | None, "Search for the best settings among those that a TOML file allows, such as spaces/dqn.toml."
    ] = None
    trials: Annotated[Count, "Settings to try, including those of earlier calls."] = 50
    trial_seeds: Annotated[
        Count,
        "Seeds to train each of them with, from 1,000 up; the five best again with as many from 2,000 up.",
    ] = 3
    folder: Annotated[
        Folder | None, "Folder for all files. By default in tune/, named after the preset or environment."
    ] = None
    jobs: Annotated[CountOrZero, "Trainings side by side. 0: one per core."] = 0
    address: Annotated[
        str | None,
        Meta(title="ADDRESS"),
        "Ray cluster to train on, HOST:PORT or auto. By default RAY_ADDRESS, or else this machine.",
    ] = None
    storage: Annotated[
        str | None,
        Meta(title="FOLDER"),
        "With a cluster: folder shared by all its machines, or a bucket's URL, through which files come back.",
    ] = None

    def __post_init__(self) -> None:
        check(self)
        if (self.seeds is None) == (self.space is None):
            raise UserError(
                f"give either {called('seeds')}, such as {to_give(seeds=10)}, or {called('space')}, such as "
                f"{to_give(space='spaces/dqn.toml')}"
            )
        if self.cluster is None:
            if self.storage is not None:
                raise UserError(f"{called('storage')} is for a cluster: give its {called('address')}, too")
        elif self.storage is None:
            where = "a folder shared by all its machines, or a bucket's URL"
            raise UserError(f"a cluster needs {called('storage')}: {where}")

    @property
    def cluster(self) -> str | None:
        """Address of the cluster to train on, None for this machine."""
        return self.address or os.environ.get("RAY_ADDRESS") or None


@dataclass(frozen=True)
class NewConfig:
    """Copy the recipe, train.py, test.py, model.py and callbacks.py, to a folder, to make it your own."""

    folder: Annotated[tuple[Annotated[str, Meta(title="FOLDER")], ...], "Folder to copy to; created if necessary."]
    agent: Annotated[Literal["dqn", "ddpg", "naf", "sarsa", "cem"], "Agent that the recipe is to build."] = "dqn"


@dataclass(frozen=True)
class ClearConfig:
    """Delete the runs that later ones have replaced, in checkpoints/earlier and logs/earlier. Asks first."""

    checkpoint_dir: Annotated[Folder, "Folder for weights."] = "checkpoints"
    log_dir: Annotated[Folder, "Folder for log, curve and configuration."] = "logs"
    yes: Annotated[bool, "Delete without asking, as is needed where there is no terminal."] = False

    def __post_init__(self) -> None:
        check(self)

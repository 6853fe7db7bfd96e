"""The commands: their options, and what they do.

Importing TensorFlow takes seconds, so whatever can go wrong without it is found first: a command has two stages.
"""

import dataclasses
import sys
import warnings
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from kerasrl import installation, signals
from kerasrl.phrases import missing, shell

try:
    import msgspec  # noqa: F401  # the first library needed
except ModuleNotFoundError as error:
    sys.exit(f"error: {missing(error.name)}")

from kerasrl.cli.layers import Layered, WithOwn, parse_config, parse_with_config
from kerasrl.cli.options import parse
from kerasrl.cli.streams import DEBUG, errors_on_one_line, notes_on_one_line, prepare_streams
from kerasrl.compat.keras_settings import choose_tensorflow
from kerasrl.config.agents import DQN
from kerasrl.config.commands import ClearConfig, ExportConfig, NewConfig, PlayConfig, PlotConfig, TuneConfig
from kerasrl.errors import Note

if TYPE_CHECKING:
    from kerasrl.training.recipe import Recipe

# What a command does, in two stages: before and after a recipe and, with it, TensorFlow are imported.
Stages: TypeAlias = Generator[None, "Recipe | None", int]

_TUNE_REFUSES = {
    "seed": "use --seeds",
    **dict.fromkeys(("checkpoint_dir", "log_dir"), "use --folder"),
    **dict.fromkeys(("resume", "overwrite"), "repeat the command to continue where it stopped"),
    **dict.fromkeys(("visualize", "play", "verbose"), "trainings side by side only show a table"),
}


def run(name: str, words: Sequence[str]) -> int:
    """Run `python -m kerasrl NAME` with `words`; return its exit status, or exit with that of an error."""
    return finish(begin(name, words, f"python -m kerasrl {name}"))


def begin(name: str, words: Sequence[str], program: str, recipe_file: str = "", agent: str = DQN) -> Stages:
    """Do what a command can do without TensorFlow, and return the rest; exit with status 2 for a mistake.

    `program` is what was typed before the options `words`; `recipe_file` is the train.py that is running, if it is not
    the project's, and `agent` the one that it trains unless another is named.
    """
    stages = _stages(name, words, program, recipe_file, agent)
    next(stages)
    return stages


def finish(stages: Stages, recipe: "Recipe | None" = None) -> int:
    """Do the rest of what `begin` began; return its exit status, or exit with that of an error.

    Without `recipe`, the one that the settings name is used, or else the project's.
    """
    try:
        stages.send(recipe)
    except StopIteration as end:
        return int(end.value)
    raise AssertionError("a command has two stages")


def _stages(name: str, words: Sequence[str], program: str, recipe_file: str, agent: str) -> Stages:
    prepare_streams()
    choose_tensorflow()
    with shell(), errors_on_one_line(DEBUG in words), notes_on_one_line():
        with signals.raised():
            settings = _parse(name, words, program, agent)
            if getattr(settings.config if isinstance(settings, Layered) else settings, "verbose", 1) == 0:
                warnings.simplefilter("ignore", Note)
            stages = _COMMANDS[name](settings, recipe_file)
            next(stages)
        recipe = yield
        with signals.raised():
            return finish(stages, recipe)


def _parse(name: str, words: Sequence[str], program: str, agent: str) -> Any:
    match name:
        case "train":
            return parse_config(words, program, agent)
        case "tune":
            return parse_with_config(TuneConfig, _TUNE_REFUSES, words, program)
    kinds = {"test": PlayConfig, "play": PlayConfig, "plot": PlotConfig, "export": ExportConfig, "new": NewConfig}
    return parse({**kinds, "clear": ClearConfig}[name], words, program)


def _train(settings: Layered, recipe_file: str) -> Stages:
    from kerasrl.training.own_parts import OwnParts
    from kerasrl.training.start import started

    config, given = settings.config, settings.given
    if config.verbose:
        for line in settings.told:
            print(line)
    if recipe_file and not config.recipe:
        config, given = dataclasses.replace(config, recipe=recipe_file), given | {"recipe"}
    with started(config, OwnParts(), given, installation.STARTED) as prepared:
        recipe = yield
        from kerasrl.tools.train import trained

        return trained(prepared, recipe).status


def _play(config: PlayConfig, recipe_file: str) -> Stages:
    from kerasrl.tools.play import played, prepared
    from kerasrl.training.own_parts import OwnParts

    if recipe_file and not config.recipe:
        config = dataclasses.replace(config, recipe=recipe_file)
    with prepared(config, OwnParts()) as saved:
        recipe = yield
        played(config, saved, recipe)
        return 0


def _plot(config: PlotConfig, recipe_file: str) -> Stages:
    yield
    from kerasrl.errors import printable
    from kerasrl.tools.plot import plot

    print(printable(f"curve {plot(config.logs, config.out, config.threshold, config.label, config.also)}"))
    return 0


def _export(config: ExportConfig, recipe_file: str) -> Stages:
    yield
    from kerasrl.tools.export import run

    run(config)
    return 0


def _tune(settings: WithOwn[TuneConfig], recipe_file: str) -> Stages:
    yield
    from kerasrl.tools.tune import run

    for line in settings.layered.told:
        print(line)
    return run(settings.own, settings.start.preset, settings.layered.config)


def _new(config: NewConfig, recipe_file: str) -> Stages:
    yield
    from kerasrl.tools.new import new

    print("\n".join(new(*config.folder, agent=config.agent)))
    return 0


def _clear(config: ClearConfig, recipe_file: str) -> Stages:
    yield
    from kerasrl.errors import printable
    from kerasrl.tools.clear import clear

    print(*map(printable, clear(config)), sep="\n")
    return 0


_COMMANDS: dict[str, Callable[[Any, str], Stages]] = {
    "train": _train, "test": _play, "play": _play, "plot": _plot, "export": _export, "tune": _tune, "new": _new,
    "clear": _clear,
}  # fmt: skip

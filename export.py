"""Write a trained network to a file for other programs: ONNX, LiteRT, Keras, or a folder for TensorFlow Serving.

python export.py --weights checkpoints/dqn_CartPole-v0_best.h5f --to policy.onnx
python export.py --weights checkpoints/dqn_CartPole-v0_best.h5f --to policy.tflite --overwrite
python export.py --help
"""

from kerasrl import signals

if __name__ == "__main__":
    signals.leave_quietly()  # the imports below take a moment

# isort: split

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from command_line import command_line, in_words, parse
from config import Count, File, ModuleName, Name, Seed, TestConfig
from kerasrl.errors import UserError, printable
from objects import Objects
from saved import Saved, load

if TYPE_CHECKING:
    from kerasrl.export.formats import Format


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Write a trained network to a file for other programs, and check that it acts there as it does here."""

    weights: File
    """Weights that train.py saved, or that keras-rl or keras-rl2 saved for the tutorial's model."""
    to: File
    """File to write, .onnx, .tflite or .keras; a name without an ending: a folder, for TensorFlow Serving."""
    overwrite: bool = False
    """Replace the file if there is one."""
    episodes: Count = 10
    """Episodes to play with the file, as a check."""
    env: Name | None = None
    """Environment to play in. Without it, the one trained in."""
    network: ModuleName = ""
    """module:function that builds the network of weights that do not say."""
    processor: ModuleName = ""
    """module:Class of the processor, likewise."""
    seed: Seed = 0
    """Seed of the episodes."""
    trust: bool = False
    """Import the modules that the weights file names, even if no option does."""

    def to_load(self) -> TestConfig:
        """Return what test.py would be told to read these weights; raises `UserError` as its settings do."""
        known = {field.name for field in dataclasses.fields(TestConfig)}
        return TestConfig(**{name: value for name, value in vars(self).items() if name in known})


def export(
    weights: str | Path,
    to: str | Path,
    *,
    overwrite: bool = False,
    episodes: int = 10,
    env: Any = None,
    model: Any = None,
    processor: Any = None,
    seed: int = 0,
    trust: bool = False,
) -> Path:
    """Write a trained network to a file for other programs, check it by playing, print what it takes, return its path.

    Args:
        weights: File that `train` or Keras-RL wrote.
        to: File to write, .onnx, .tflite or .keras; a name without an ending is a folder, for TensorFlow Serving.
        overwrite: Replace the file if there is one.
        episodes: Episodes to play with the file.
        env: Environment to play in: a name, an object (a copy is played in), or a function that makes one. Without it,
            the one trained in.
        model: Keras model like the one trained, or a function that builds it; needed if `train` was given one.
        processor: rl.core.Processor like the one trained with; needed if `train` was given one.
        seed: Seed of the episodes.
        trust: Import the modules that the weights file names.

    Raises:
        UserError: The weights or the environment cannot be used, the network cannot be written, or the file does not
            act as the agent.
        OSError: The file cannot be written.
    """
    name, env = (env, None) if isinstance(env, str) else (None, env)
    config = ExportConfig(str(weights), str(to), overwrite, episodes, name, seed=seed, trust=trust)
    return _export(config, Objects(env, model, processor))


def _export(config: ExportConfig, objects: Objects) -> Path:
    """Write the file beside its place, play with it, and put it in its place if it acts as the agent."""
    from kerasrl.export import formats  # here, so that --help is quick
    from kerasrl.storage.files import appearing

    path = Path(config.to)
    kind = formats.format_of(path)
    formats.require_free(path, config.overwrite)
    with objects.unchanged() as given:
        saved = load(config.to_load(), given, "export")
        with appearing(path) as beside:
            _write_and_check(config, kind, saved, beside)
    print(printable(f"{kind.name} {path}"))
    return path


def _write_and_check(config: ExportConfig, kind: "Format", saved: Saved, beside: Path) -> None:
    """Write the file, play with it and tell what it takes."""
    from kerasrl import environments
    from kerasrl.export import check, formats
    from kerasrl.export.about import about, input_names

    trained, dqn = saved.config, saved.agent
    names = input_names(dqn.model, by_key=isinstance(saved.state_size, dict))
    known = about(trained.env, dqn, names, trained.action_repetition)
    exported = formats.write(kind, dqn.model, names, beside, known)
    found = check.play(
        dqn,
        saved.env,
        exported,
        names,
        nb_episodes=config.episodes,
        action_repetition=trained.action_repetition,
        nb_max_episode_steps=trained.nb_max_episode_steps or None,
        seed=config.seed,
    )
    environments.close(saved.env)
    if found.nb_different:
        raise UserError(
            f"{config.to} would not act as the agent does: in {found.nb_different:,} of {found.nb_states:,} states "
            f"another action is better, and Q-values differ by up to {found.difference:.2g}; nothing was written"
        )
    tied = f", but for {found.nb_tied:,} where two are equally good" if found.nb_tied else ""
    reward = in_words(sum(found.rewards) / len(found.rewards))
    print(
        f"played in {formats.in_words(kind.runtime)}: mean reward {reward}, the agent's action in all "
        f"{found.nb_states:,} states{tied}, Q-values within {found.difference:.2g}"
    )
    for tensor in (*known["inputs"], *known["outputs"]):
        what = "output" if tensor in known["outputs"] else "input"
        print(printable(f"{what} {tensor['name']}: {tensor['dtype']} [{', '.join(map(str, tensor['shape']))}]"))
    print(printable(f"an observation: {'; '.join(known['observation'])}"))
    print(printable(f"the action: {'; '.join(known['action'])}"))


def _run(config: ExportConfig) -> int:
    _export(config, Objects())
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return command_line(lambda words: parse(ExportConfig, words), _run, argv)


if __name__ == "__main__":
    sys.exit(main())

"""Write a trained network to a file for other programs: ONNX, LiteRT, Keras, or a folder for TensorFlow Serving."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasrl.compat.keras_settings import as_tested
from kerasrl.config.commands import ExportConfig
from kerasrl.environments.numbered import numbered_for
from kerasrl.errors import UserError, printable
from kerasrl.phrases import reward_text
from kerasrl.storage.appearing import appearing
from kerasrl.tools.export import formats
from kerasrl.training.own_parts import OwnParts, by_name
from kerasrl.training.saved import Saved, find


def export(
    weights: str | Path,
    to: str | Path,
    *,
    overwrite: bool = False,
    episodes: int = 10,
    env: Any = None,
    env_arg: Mapping[str, Any] = {},
    network: str = "",
    model: Any = None,
    processor: Any = None,
    recipe: str | Path = "",
    seed: int = 0,
    trust: bool = False,
) -> Path:
    """Write a trained network to a file for other programs, check it by playing, print its inputs, return its path.

    Args:
        weights: File that `train` or Keras-RL wrote.
        to: File to write, .onnx, .tflite or .keras; without an extension, a folder for TensorFlow Serving.
        overwrite: Replace the file if it exists.
        episodes: Episodes to play with the file.
        env: Environment to play in: a name, an object (which is copied), or a function that makes one. By default the
            one trained in.
        env_arg: Arguments for what makes it, in place of those it was trained with.
        network: `module:function` that builds the network, if the settings named one.
        model: Keras model like the one trained, or a function that builds it; needed if `train` was given one.
        processor: rl.core.Processor like the one trained with; needed if `train` was given one. Or `module:Class`, if
            the settings named one.
        recipe: Your own train.py, if the weights were trained with it.
        seed: Seed of the episodes.
        trust: Import the modules that the weights file names.

    Raises:
        UserError: The weights or the environment cannot be used, the network cannot be written, or the file does not
            act like the agent.
        OSError: The file cannot be written.
    """
    named, parts = by_name(env, env_arg, network, model, processor, recipe)
    config = ExportConfig(str(weights), str(to), overwrite, episodes, **named, seed=seed, trust=trust)
    return run(config, parts)


def run(config: ExportConfig, parts: OwnParts = OwnParts()) -> Path:
    """Write a temporary file, play with it, and rename it if it acts like the agent; raises as `export`."""
    path = Path(config.to)
    kind = formats.format_of(path)
    formats.require_free(path, config.overwrite)

    with parts.unchanged() as given:
        saved = find(config.to_play(), given, "export")
        with parts.closing(saved.env), appearing(path) as beside:
            _write_and_check(config, kind, saved, beside)
    print(printable(f"{kind.name} {path}"))
    return path


@as_tested()
def _write_and_check(config: ExportConfig, kind: formats.Format, saved: Saved, beside: Path) -> None:
    from kerasrl.tools.export import check  # TensorFlow is imported from here on
    from kerasrl.tools.export.about import about, input_names, plain_names
    from kerasrl.tools.export.normalizing import normalizing
    from kerasrl.training.recipe import load

    recipe = load(saved.config.recipe)
    trained, run = saved.config, saved.run()
    with saved.fitting():
        agent = recipe.build(run)
        agent.load_weights(run.weights)
        agent.decode = numbered_for(agent, run.env)
    model = normalizing(agent.acting_model, agent.normalizer)
    keys = input_names(model, by_key=isinstance(run.state_size, dict))
    names = keys if kind.takes_any_name else plain_names(keys, agent.output_name)
    known = about(trained.env, agent, names, keys, trained.action_repetition)
    exported = formats.write(kind, model, names, beside, known)
    found = check.play(agent, run.env, exported, names, nb_episodes=config.episodes, **run.options)
    what = {"q_values": "Q-values", "action": "actions"}.get(agent.output_name, agent.output_name)
    if found.nb_different:
        raise UserError(
            f"{config.to} would not act like the agent: in {found.nb_different:,} of {found.nb_states:,} states "
            f"another action is better, and {what} differ by up to {found.difference:.2g}; nothing was written"
        )
    tied = f", but for {found.nb_tied:,} where two are equally good" if found.nb_tied else ""
    reward = reward_text(sum(found.rewards) / len(found.rewards))
    print(
        f"played in {formats.installed_as(kind.runtime)}: mean reward {reward}, the agent's action in all "
        f"{found.nb_states:,} states{tied}, {what} within {found.difference:.2g}"
    )
    for tensor in (*known["inputs"], *known["outputs"]):
        what = "output" if tensor in known["outputs"] else "input"
        print(printable(f"{what} {tensor['name']}: {tensor['dtype']} [{', '.join(map(str, tensor['shape']))}]"))
    print(printable(f"observation: {'; '.join(known['observation'])}"))
    print(printable(f"action: {'; '.join(known['action'])}"))

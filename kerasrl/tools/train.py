"""Train an agent, from Python and for the command line."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from kerasrl import environments
from kerasrl.compat.keras_settings import as_tested
from kerasrl.config import AnyConfig, Config
from kerasrl.errors import UserError
from kerasrl.training.own_parts import OwnParts
from kerasrl.training.start import Prepared, started

if TYPE_CHECKING:
    from kerasrl.tools.trained import Trained
    from kerasrl.training.recipe import Recipe


def train(
    config: AnyConfig = Config(),
    *,
    env: Any = None,
    model: Any = None,
    processor: Any = None,
    callbacks: Sequence[Any] | None = None,
    observers: Sequence[Any] = (),
) -> "Trained":
    """Train as `config` says; weights, log, curve and configuration are written to its folders.

    Objects take the place of what `config` names. The training uses the objects themselves, evaluations use copies.

    Args:
        config: Settings.
        env: Environment, or a function that makes one, optionally from `render_mode`.
        model: Keras model from states [B, window_length, *observation] to Q-values [B, num_actions], or a function of
            state_size, num_actions and, optionally, config that builds one. For DDPG it is (actor, critic,
            critic_action_input), for NAF (V_model, L_model, mu_model), or a function that returns these.
        processor: rl.core.Processor between environment and agent.
        callbacks: Callbacks in addition to those of the settings.
        observers: Callbacks that only look on, or end the training: no file names them, a resume does not need them.

    Raises:
        UserError: The configuration or an object cannot be used.
    """
    return run(config, OwnParts(env, model, processor, callbacks, observers))


def run(config: AnyConfig, parts: OwnParts = OwnParts(), given: Collection[str] | None = None) -> "Trained":
    """Train as `config` says, with `parts`; raises as `train`.

    `given` are the names of the settings that a resume has to have; None means all that differ from the defaults.
    """
    with started(config, parts, given) as prepared:
        return trained(prepared)


@as_tested()
def trained(prepared: Prepared, recipe: "Recipe | None" = None) -> "Trained":
    """Let a recipe train: the given one, or else the one that the settings name, or else the project's.

    Raises:
        UserError: The settings, an object or the recipe cannot be used.
    """
    from kerasrl.learning import device  # first: it imports TensorFlow, and keeps it quiet

    # isort: split

    from keras.utils import set_random_seed

    from kerasrl.tools.trained import finished
    from kerasrl.training.networks import warn_of
    from kerasrl.training.recipe import load
    from kerasrl.training.run import TrainingRun

    config = prepared.config
    if recipe is None or recipe.file != config.recipe:
        recipe = load(config.recipe)
    run = TrainingRun.of_prepared(prepared, recipe)
    choice = device.configure(run.state_size, config.threads, config.device, run.nb_weights)
    if config.verbose:
        print(f"device {choice}")
    warn_of(config, run.state_size, prepared.parts.model, run.env.observation_space if run.processor is None else None)
    set_random_seed(config.seed)
    assert recipe.train is not None
    with environments.closing(run):
        recipe.train(run)
    if not run.is_over:
        raise UserError("the recipe's train(run) trained nothing: call fit inside `with run.training(agent):`")
    return finished(run)

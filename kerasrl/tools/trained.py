"""The result of a training: what is printed at its end, and what `train` returns."""

import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerasrl import environments
from kerasrl.callbacks.evaluation import Candidate
from kerasrl.config.commands import ExportConfig, PlayConfig
from kerasrl.config.trust import named_to_play, options
from kerasrl.errors import UserError
from kerasrl.phrases import command_to_type, reward_text, to_give, to_type
from kerasrl.tools.export import run as export
from kerasrl.tools.play import Played
from kerasrl.tools.play import run as play
from kerasrl.tools.plot import plot
from kerasrl.tools.plot.picture import Picture
from kerasrl.training.files import RunFiles
from kerasrl.training.own_parts import OwnParts
from kerasrl.training.playoff import told_of
from kerasrl.training.run import TrainingRun


@dataclass(frozen=True)
class Trained:
    """The result of a training."""

    agent: Any = field(repr=False)
    history: dict[str, list[Any]] = field(repr=False)
    """For each episode, as in Keras-RL's History: episode_reward, nb_episode_steps, nb_steps, evaluation_reward.

    Where a processor changes rewards, environment_reward has the environment's own. Besides, as in the log, the means
    over an episode's steps: loss, mean_eps (epsilon) and the agent's other metrics.
    """
    run: str
    """Id of the run, which all of its files carry."""
    best: tuple[float, int] | None
    """Mean reward of the best weights in their evaluation, and the step of that evaluation."""
    last: tuple[float, int] | None
    """Mean reward and step of the last evaluation."""
    status: int
    """Exit status: 0, or 128 plus the number of the signal that stopped the training."""
    playoff: list[Candidate] = field(repr=False)
    """What has played in a playoff, the best evaluated first: `playoff` is the mean reward of its 100 episodes,
    `reward` and `step` are those of its evaluation."""
    parts: OwnParts = field(repr=False)
    """What `train` was given as objects."""
    env: Any = field(repr=False)
    """Environment, or a function that makes one, which `play` and `export` play in."""
    named: dict[str, Any] = field(repr=False)
    """The modules that its settings name. The weights, which somebody may have replaced, can bring no others."""
    _place: RunFiles = field(repr=False)
    _plays_best: bool = field(repr=False)

    @property
    def files(self) -> RunFiles:
        """Where the run's files are now: another run moves them; raises `UserError` if its weights are gone."""
        return self._place.of_run(self.run)

    @property
    def weights(self) -> Path:
        """Weights that `play` plays: the best, or the last if there are none or the settings say so.

        DDPG's are two files, of which this is the common name: see `files.written`.
        """
        return self.files.best if self._plays_best else self.files.weights

    def __fspath__(self) -> str:
        """Return these weights' path, so that another training may start from them: Config(start_from=trained)."""
        return str(self.weights)

    def play(
        self, episodes: int = 5, *, record: str | Path = "", visualize: bool = False, seed: int | None = None
    ) -> Played:
        """Play with the weights; arguments, result and errors are those of `kerasrl.play`."""
        config = PlayConfig(str(self.weights), episodes, visualize, str(record), seed=seed, **self.named)
        return play(config, self._parts())

    def export(self, to: str | Path, *, overwrite: bool = False, episodes: int = 10, seed: int = 0) -> Path:
        """Write the network for other programs; arguments, result and errors are those of `kerasrl.export`."""
        config = ExportConfig(str(self.weights), str(to), overwrite, episodes, seed=seed, **self.named)
        return export(config, self._parts())

    def _parts(self) -> OwnParts:
        return OwnParts(self.env, self.parts.model, self.parts.processor)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]] | None:
        """Return the curve for a notebook."""
        try:
            return Picture(self.files.curve)._repr_png_()
        except UserError:  # they are gone
            return None


def finished(run: TrainingRun) -> Trained:
    """Draw the curve, print the result of the training, and return it."""
    agent, evaluation = run.agent, run.evaluation
    if not agent.did_abort:
        run.state.finish()
    has_log = run.files.log.is_file()  # there is none until the first episode ends; a resumed run has one at once
    if has_log:
        try:
            plot([run.files.log], run.files.curve, run.threshold)
        except UserError as error:
            print(f"no curve: {error}", file=sys.stderr)  # the weights have been saved regardless
    has_best = evaluation is not None and evaluation.best is not None
    plays_best = has_best and run.config.play == "best"
    if run.config.verbose:
        _tell(run, agent.step, has_log, run.files.best if plays_best else run.files.weights)
    if agent.did_abort:
        settings = type(run.config).__name__
        again = to_type("the same command with --resume", f"the same call with {settings}(..., resume=True)")
        why = f"max_time {run.config.max_time} is over" if run.is_time_up else "stopped"
        if run.config.verbose or not run.is_time_up:
            print(
                f"{why} at step {agent.step} of {run.config.nb_steps}; {again} continues from step "
                f"{run.state.saved_step}",
                file=sys.stdout if run.is_time_up else sys.stderr,
            )
    best, last = (None, None) if evaluation is None else (evaluation.best, evaluation.last)
    status = 0 if run.signal is None else 128 + run.signal
    env = environment_to_play_in(run)
    named = named_to_play(vars(run.config))
    for of_env in ("env", "env_arg"):
        named.pop(of_env, None)
    history = agent.history.history | (_metrics(run) if has_log else {})
    results = run.id, best, last, status, run.playoff
    return Trained(agent, history, *results, run.parts, env, named, run.files, plays_best)


def _metrics(run: TrainingRun) -> dict[str, list[Any]]:
    """Return the agent's metrics in each episode of its history; nothing if the log has other episodes."""
    log, steps = json.loads(run.files.log.read_bytes()), run.agent.history.history.get("nb_steps", [])
    if not steps or log.get("nb_steps", [])[-len(steps) :] != steps:  # a resumed run's log has those before, too
        return {}
    columns = {name: log[name][-len(steps) :] for name in run.agent.metrics_names if name in log}
    return {name: [math.nan if value is None else value for value in values] for name, values in columns.items()}


def environment_to_play_in(run: TrainingRun) -> Any:
    """Return the environment given as an object, which changes with its owner, or a function that makes another.

    What the function makes has what the wrappers of the environment trained in have gathered.
    """
    if environments.is_environment(run.parts.env):
        return run.parts.env

    def make(render_mode: str | None = None) -> Any:
        env = run.parts.make_env(run.config, render_mode)
        environments.carry_over(run.env, env)
        return env

    return make


def _tell(run: TrainingRun, step: int, has_log: bool, weights: Path) -> None:
    files, evaluation = run.files, run.evaluation
    if evaluation is not None and evaluation.solved is not None:
        print(
            f"solved: mean reward of 100 greedy episodes {reward_text(evaluation.solved[0])}, at least "
            f"{run.threshold:g}"
        )
    if evaluation is not None and evaluation.best is not None:
        for name, path, score in (("best", files.best, evaluation.best), ("last", files.weights, evaluation.last)):
            if name == "best" and run.playoff:
                print(f"best weights {path}: {told_of(evaluation.kept[0])}")
            elif score is not None and (name == "best" or score[1] == step):
                print(f"{name} weights {path}: mean reward {reward_text(score[0])} when evaluated at step {score[1]:,}")
            else:
                print(f"{name} weights {path}: step {step:,}, not evaluated")
    else:
        print(f"weights {files.weights}")
    if has_log:
        print(f"curve {files.curve}")
    if run.config.record_every and files.progress_film.is_file():
        print(f"film {files.progress_film}")
    in_window = f" ({to_give(visualize=True)} opens a window)" if environments.draws(run.env) else ""
    command = command_to_type("test", "--weights", str(weights), *options(named_to_play(vars(run.config))))
    print(to_type(f"play them{in_window}:\n{command}", f"to play them, call play() of what train returned{in_window}"))

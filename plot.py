"""Draw the learning curve of a run, or those of several runs or seeds with their mean and its 95% interval.

python plot.py logs/dqn_CartPole-v0_log.json
python plot.py seed*/dqn_CartPole-v0_log.json --out curves.png
python plot.py --help
"""

import dataclasses
import io
import json
import logging
import math
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
import tyro
from numpy.typing import NDArray

from command_line import command_line, parse
from config import Evaluation, Run
from kerasrl.errors import UserError
from kerasrl.storage.files import write_whole

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINDOW = 100  # episodes in a running mean
FORMATS = (".png", ".svg", ".pdf")
# Okabe and Ito's colours, which the colour-blind tell apart, without those too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Settings that change what a run shows, how long it is and where it goes, but not what it learns; and the table [run].
INCIDENTAL = {"run", *(field.name for group in (Evaluation, Run) for field in dataclasses.fields(group))}

Curve: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]  # environment steps and values, finite


@dataclasses.dataclass(frozen=True)
class PlotConfig:
    """Draw the learning curve of a run, or those of several runs with their mean and its 95% interval.

    Runs that differ in nothing but seed, length, evaluations and output share a colour. What they are is read in the
    dqn_E_config.toml beside each log; without one, logs of the same name are alike.
    """

    logs: Annotated[
        tyro.conf.Positional[tuple[str, ...]],
        tyro.conf.arg(metavar="LOG [LOG ...]", help_behavior_hint="(required)"),
    ]
    """Logs that train.py or Keras-RL's FileLogger wrote."""
    out: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """Picture to write, .png, .svg or .pdf. Without it: dqn_E_curve.png beside dqn_E_log.json, or curves.png."""
    threshold: float | None = None
    """Reward to draw as a line. Without it: the one at which the environment counts as solved."""


@dataclasses.dataclass(frozen=True)
class Log:
    """What a picture shows of one log, and what the settings beside it say."""

    name: str
    curves: dict[str, Curve]
    settings: dict[str, Any]
    seed: int | None
    threshold: float | None


def plot(logs: Sequence[str | Path], out: str | Path | None = None, threshold: float | None = None) -> Path:
    """Draw logs into a picture and return its path.

    Args:
        logs: Logs of FileLogger. Runs that differ in the seed only are drawn as their mean and its 95% interval.
        out: File to write, .png, .svg or .pdf. None: beside the first log, dqn_E_curve.png for dqn_E_log.json,
            curves.png for several.
        threshold: Reward to draw as a line. None: that of the settings beside each log.

    Raises:
        UserError: A log or the settings beside it cannot be used, or the picture cannot be written.
    """
    paths = list(dict.fromkeys(Path(log) for log in logs))
    if not paths:
        raise UserError("no log is named; name one, such as logs/dqn_CartPole-v0_log.json")
    if threshold is not None and not math.isfinite(threshold):
        raise UserError(f"threshold must be a finite number, is {threshold}")
    groups = _groups([_read(path) for path in paths])
    if len(groups) > len(COLOURS):
        raise UserError(f"{len(groups)} kinds of runs do not fit in one picture; draw at most {len(COLOURS)}")
    if out is None:
        out = "curves.png" if len(paths) > 1 else f"{paths[0].stem.removesuffix('_log')}_curve.png"
        out = paths[0].with_name(out)
    out = Path(out)
    if out.suffix.lower() not in FORMATS:
        raise UserError(f"{out} is no picture to write: its name must end in {', '.join(FORMATS)}")
    if not out.parent.is_dir():
        raise UserError(f"cannot write {out}: there is no folder {out.parent}")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # no notices of font and configuration folders
    import matplotlib  # here, so that --help does not wait for it

    picture = io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a person's own style could make it illegible
        _figure(groups, threshold).savefig(picture, format=out.suffix.lower()[1:], dpi=150)
    try:
        write_whole(out, picture.getvalue())
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from None
    return out


def _read(path: Path) -> Log:
    """Read a log of train.py or of Keras-RL, whose JSON may hold bare NaN, and the settings beside it."""
    text = _text(path)
    try:
        log = json.loads(text)
    except ValueError:
        raise UserError(f"{path} is not JSON; name a log, such as logs/dqn_CartPole-v0_log.json") from None
    for key in ("episode_reward", "nb_steps"):
        if not isinstance(log, dict) or key not in log:
            raise UserError(f"{path} is no log of Keras-RL: it has no {key}")
    if not all(isinstance(column, list) and len(column) == len(log["nb_steps"]) for column in log.values()):
        raise UserError(f"{path} is damaged: its lists are not equally long")
    try:
        columns = {
            key: np.array(log[key], np.float64).reshape(len(log["nb_steps"]))
            for key in ("nb_steps", "episode_reward", "evaluation_reward", "mean_eps", "loss")
            if key in log
        }
    except (TypeError, ValueError):
        raise UserError(f"{path} is damaged: it holds something else than numbers") from None
    steps = columns.pop("nb_steps")
    if not (np.diff(steps, prepend=0) > 0).all():
        raise UserError(f"{path} is damaged: nb_steps does not rise from episode to episode")
    curves = {}
    for key, values in columns.items():
        known = np.isfinite(values)
        if known.any():
            curves[key] = (steps[known], values[known])
    if "episode_reward" not in curves:
        raise UserError(f"{path} holds no episode yet")
    settings = _settings(path)
    name = str(settings.get("env", path.stem.removeprefix("dqn_").removesuffix("_log")))
    return Log(
        name="".join(letter if letter.isprintable() and letter < "\u0250" else "?" for letter in name),  # has a glyph
        curves=curves,
        settings={key: value for key, value in settings.items() if key not in INCIDENTAL},
        seed=settings.get("seed"),
        threshold=_number(settings.get("run"), "reward_threshold"),
    )


def _settings(log: Path) -> dict[str, Any]:
    """Return the settings in dqn_E_config.toml beside dqn_E_log.json, none if there is no such file."""
    path = log.with_name(f"{log.stem.removesuffix('_log')}_config.toml")
    text = _text(path) if path.exists() else ""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is not TOML: {error}; remove it to draw without the run's settings") from None


def _number(table: Any, key: str) -> float | None:
    value = table.get(key) if isinstance(table, dict) else None
    return value if isinstance(value, float | int) else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text") from None


def _groups(runs: Sequence[Log]) -> dict[str, list[Log]]:
    """Put runs together that differ in the seed only; name them after the environment and what else differs."""
    groups: dict[str, list[Log]] = {}
    for run in runs:
        others = [other.settings for other in runs if other.name == run.name]
        differing = [key for key, value in run.settings.items() if any(other.get(key) != value for other in others)]
        label = ", ".join([run.name, *(f"{key} {run.settings[key]}" for key in differing)])
        groups.setdefault(label, []).append(run)
    return groups


def running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return at each place the mean of the last `window` values, of fewer at the beginning."""
    return np.convolve(values, np.ones(window))[: len(values)] / np.minimum(np.arange(1, len(values) + 1), window)


def mean_and_interval(curves: Sequence[Curve]) -> tuple[Curve, NDArray[np.float64]]:
    """Return the mean of curves on the steps that at least two of them cover, and half its 95% interval."""
    first, last = sorted(steps[0] for steps, _ in curves)[1], sorted(steps[-1] for steps, _ in curves)[-2]
    grid = np.linspace(first, last, 500 if first < last else 0)
    values = np.array([np.interp(grid, *curve, left=np.nan, right=np.nan) for curve in curves])
    nb_runs = np.isfinite(values).sum(axis=0)
    grid, values, nb_runs = grid[nb_runs > 1], values[:, nb_runs > 1], nb_runs[nb_runs > 1]
    deviation = np.nanstd(values, axis=0, ddof=1)
    quantiles = np.array([student_t(n - 1) for n in nb_runs])
    return (grid, np.nanmean(values, axis=0)), quantiles * deviation / np.sqrt(nb_runs)


def student_t(freedom: int) -> float:
    """Return the 97.5% quantile of Student's distribution, to a percent (Abramowitz and Stegun, 26.7.5 from 5 on)."""
    if freedom < 5:
        return (12.706, 4.303, 3.182, 2.776)[freedom - 1]
    return 1.960 + 2.372 / freedom + 2.823 / freedom**2 + 2.556 / freedom**3


def _figure(groups: dict[str, list[Log]], threshold: float | None) -> "Figure":
    """Draw reward, epsilon and loss over the steps, one below the other."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    runs = [run for group in groups.values() for run in group]
    labels = {
        "episode_reward": f"reward per episode\n(mean of the last {WINDOW})"
        if len(groups) > 1
        else "reward per episode",
        "evaluation_reward": "reward per episode\n(evaluations)",
        "mean_eps": "epsilon\n(probability of a\nrandom action)",
        "loss": f"loss\n(mean of {WINDOW}\nepisodes)",
    }
    shown = [key for key in labels if any(key in run.curves for run in runs)]
    together = len(groups) == 1  # rewards and evaluations; with more groups they would hide each other
    if together and "evaluation_reward" in shown:
        shown.remove("evaluation_reward")
    heights = [{"episode_reward": 4.0, "evaluation_reward": 3.0}.get(key, 1.4) for key in shown]
    figure = Figure(figsize=(8, sum(heights) + 0.8), layout="constrained")
    axes = figure.subplots(len(shown), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    panels: dict[str, Axes] = dict(zip(shown, axes, strict=True))
    if len(runs) == 1:
        steps, rewards = runs[0].curves["episode_reward"]
        panels["episode_reward"].plot(steps, rewards, ".", color="0.5", markersize=4, alpha=0.6, markeredgewidth=0)
    for colour, group in zip(COLOURS, groups.values(), strict=False):
        for key, panel in panels.items():
            _draw(panel, group, key, colour, window=WINDOW if key in ("episode_reward", "loss") else 1)
        if together:
            _draw(panels["episode_reward"], group, "evaluation_reward", COLOURS[1], window=1, linestyle="--")
    thresholds = {run.threshold for run in runs if run.threshold is not None} if threshold is None else {threshold}
    for key, panel in panels.items():
        panel.set_ylabel(labels[key])
        panel.grid(color="0.9")
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        if key.endswith("reward"):
            for value in thresholds:
                panel.axhline(value, color="black", linestyle=":", linewidth=1.4)
    if "mean_eps" in panels:
        panels["mean_eps"].set_ylim(-0.05, 1.05)
    axes[-1].set_xlabel("environment steps")
    axes[-1].set_xlim(0, max(steps[-1] for steps, _ in _curves(runs, "episode_reward")) * 1.01)
    axes[-1].xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes[-1].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    figure.align_ylabels(axes)
    _explain(figure, groups, thresholds)
    return figure


def _draw(axes: "Axes", group: Sequence[Log], key: str, colour: str, window: int, linestyle: str = "-") -> None:
    """Draw a curve of one run, or the mean of several and its 95% interval over their faint curves."""
    curves = [(steps, running_mean(values, window)) for steps, values in _curves(group, key)]
    alone = len(curves) == 1
    width, alpha = (1.8, 1.0) if alone else (0.6, 0.5)
    for steps, values in curves:
        marker = "o" if len(steps) == 1 or (alone and key == "evaluation_reward") else None
        axes.plot(steps, values, linestyle, color=colour, lw=width, alpha=alpha, marker=marker, markersize=3.5)
    if len(curves) > 1:
        (steps, mean), half = mean_and_interval(curves)
        axes.plot(steps, mean, linestyle, color=colour, linewidth=1.8)
        limits = axes.dataLim.frozen()  # few runs have a wide interval: their curves, not it, choose the scale
        axes.fill_between(steps, mean - half, mean + half, color=colour, alpha=0.2, linewidth=0)
        axes.dataLim.set(limits)


def _curves(group: Sequence[Log], key: str) -> list[Curve]:
    return [run.curves[key] for run in group if key in run.curves]


def _explain(figure: "Figure", groups: dict[str, list[Log]], thresholds: set[float]) -> None:
    """Say in a title and a legend what runs these are, and what colours, lines and bands mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    runs = [run for group in groups.values() for run in group]
    entries: dict[str, Line2D | Patch] = {}
    if len(groups) > 1:
        line = "0.3"
        for colour, (label, group) in zip(COLOURS, groups.items(), strict=False):
            label += f", {len(group)} runs" if len(group) > 1 else ""
            entries[textwrap.fill(label, 42)] = Line2D([], [], color=colour, linewidth=1.8)
    else:
        line = COLOURS[0]
        seed = "" if runs[0].seed is None else f", seed {runs[0].seed}"
        title = runs[0].name + (seed if len(runs) == 1 else f", {len(runs)} runs")
        figure.axes[0].set_title(textwrap.fill(title, 70), parse_math=False)
        if len(runs) == 1:
            entries["episode"] = Line2D([], [], color="0.5", linestyle="", marker=".")
        entries[f"mean of the last {WINDOW} episodes"] = Line2D([], [], color=line, linewidth=1.8)
        if _curves(runs, "evaluation_reward"):
            marker = "o" if len(runs) == 1 else None
            entries["evaluation"] = Line2D([], [], color=COLOURS[1], linestyle="--", marker=marker, markersize=3.5)
    if len(groups) < len(runs):
        entries["each run"] = Line2D([], [], color=line, linewidth=0.6, alpha=0.5)
        entries["95% interval of the runs' mean"] = Patch(color=line, alpha=0.2, linewidth=0)
    if thresholds:
        label = "reward threshold " + ", ".join(f"{value:g}" for value in sorted(thresholds))
        entries[label] = Line2D([], [], color="black", linestyle=":", linewidth=1.4)
    figure.set_figheight(figure.get_figheight() + 0.12 * sum(len(label.splitlines()) for label in entries))
    legend = figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=2, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name may hold dollars


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return command_line(lambda: parse(PlotConfig, argv), _run)


def _run(config: PlotConfig) -> int:
    print(f"curve {plot(config.logs, config.out, config.threshold)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Draw the learning curve of a run, or those of several runs or seeds with their mean and its 95% interval.

python plot.py logs/dqn_CartPole-v0_log.json
python plot.py seed*/dqn_CartPole-v0_log.json --out curves.png
python plot.py --help
"""

from kerasrl import signals

if __name__ == "__main__":
    signals.leave_quietly()  # the imports below take a moment

# isort: split

import dataclasses
import io
import json
import logging
import math
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from command_line import command_line, parse  # first: it says so if this Python has none of the libraries

# isort: split

import msgspec
from msgspec import Meta

from bounds import shown
from config import Evaluation, File, Reward, Run
from kerasrl.errors import UserError, missing, printable
from kerasrl.reading import parse_json, read_file

try:
    import numpy as np
    from numpy.typing import NDArray

    from kerasrl.storage.files import write_whole
except ModuleNotFoundError as error:
    sys.exit(f"error: {missing(error.name)}")

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINDOW = 100  # episodes in a running mean
_LARGEST = 1e100  # whose sums and squares are still numbers
_LONGEST = 300  # characters of a label
MOST_LINES = 10  # runs of a kind to draw one by one; the lines of more hide each other
FORMATS = (".png", ".svg", ".pdf")
# Okabe and Ito's colours, which the colour-blind tell apart, without those too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STYLE: dict[str, Any] = {
    **{"axes.grid": True, "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False},
    **{"grid.color": "0.9", "axes.xmargin": 0.01, "lines.linewidth": 1.8, "lines.markersize": 3.5},
    **{"text.parse_math": False, "axes.titlesize": "medium", "legend.frameon": False},
}
# Columns of a log that are drawn, from top to bottom: label and height in inches.
PANELS = {
    "episode_reward": ("reward per episode", 4.0),
    "evaluation_reward": ("reward per episode\n(evaluations)", 3.0),
    "mean_eps": ("epsilon\n(probability of a\nrandom action)", 1.4),
    "loss": (f"loss\n(mean of {WINDOW}\nepisodes)", 1.4),
}
EACH_RUN, INTERVAL = "each run", "95% interval of the runs' mean"
# Settings that change what a run shows, how long it is and where it goes, but not what it learns.
INCIDENTAL = {field.name for group in (Evaluation, Run) for field in dataclasses.fields(group)}

Curve: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]  # environment steps and values, finite


@dataclasses.dataclass(frozen=True)
class PlotConfig:
    """Draw the learning curve of a run, or those of several runs with their mean and its 95% interval.

    Runs that differ in nothing but seed, length, evaluations and output share a colour. What they are is read in the
    dqn_E_config.toml beside each log; without one, logs of the same name are alike.
    """

    logs: tuple[Annotated[str, Meta(title="LOG")], ...]
    """Logs that train.py or Keras-RL's FileLogger wrote."""
    out: File | None = None
    """Picture to write, .png, .svg or .pdf. Without it: dqn_E_curve.png beside dqn_E_log.json, or curves.png."""
    threshold: Reward | None = None
    """Reward to draw as a line. Without it: the one at which the environment counts as solved."""


@dataclasses.dataclass(frozen=True)
class Log:
    """What a picture shows of one log, and what the settings beside it say."""

    name: str
    curves: dict[str, Curve]
    settings: dict[str, Any]
    threshold: float | None


def plot(logs: Sequence[str | Path], out: str | Path | None = None, threshold: float | None = None) -> Path:
    """Draw logs into a picture, which carries their settings as JSON (a PNG: text "Keywords"), and return its path.

    Runs that differ in the seed only share a colour; from seven such kinds on, each has its own panel. From three runs
    of a kind on, their mean and its 95% interval are drawn, where all of them have values; from eleven on, only these.

    Args:
        logs: Logs of FileLogger.
        out: File to write, .png, .svg or .pdf. None: beside the first log, dqn_E_curve.png or curves.png.
        threshold: Reward to draw as a line. None: that of the settings beside each log.

    Raises:
        UserError: A log or the settings beside it cannot be used, or the picture cannot be written.
    """
    paths = list(dict.fromkeys(Path(log) for log in logs))
    if not paths:
        raise UserError("no log is named; name one, such as logs/dqn_CartPole-v0_log.json")
    if threshold is not None and not math.isfinite(threshold):
        raise UserError(f"threshold must be a finite number, is {threshold}")
    runs = [_read(path, threshold) for path in paths]
    name = "curves.png" if len(paths) > 1 else f"{paths[0].stem.removesuffix('_log')}_curve.png"
    out = paths[0].with_name(name) if out is None else Path(out)
    if out.suffix.lower() not in FORMATS:
        raise UserError(f"{out} is no picture to write: its name must end in {', '.join(FORMATS)}")
    if not out.parent.is_dir():
        raise UserError(f"cannot write {out}: there is no folder {out.parent}")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # no notices of font and configuration folders
    import matplotlib.style  # here, so that --help does not wait for it

    picture = io.BytesIO()
    about = {"Keywords": json.dumps([run.settings for run in runs], default=str)}  # all three formats have Keywords
    with matplotlib.style.context(STYLE, after_reset=True):  # a person's own style could make it illegible
        _figure(runs).savefig(picture, format=out.suffix.lower()[1:], dpi=150, metadata=about)
    try:
        write_whole(out, picture.getvalue())
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from None
    return out


def _read(path: Path, threshold: float | None) -> Log:
    """Read a log of train.py or of Keras-RL, whose JSON may hold bare NaN, and the settings beside it."""
    log = _decoded(path, parse_json, "JSON", "name a log, such as logs/dqn_CartPole-v0_log.json")
    for key in ("episode_reward", "nb_steps"):
        if not isinstance(log, dict) or key not in log:
            raise UserError(f"{path} is no log of Keras-RL: it has no {key}")
    lengths = {len(column) if isinstance(column, list) else None for column in log.values()}
    if len(lengths) > 1 or None in lengths:
        raise UserError(f"{path} is damaged: its lists are not equally long")
    try:
        keys = [key for key in PANELS if key in log]
        steps, *columns = (np.array(log[key], np.float64).reshape(len(log[key])) for key in ("nb_steps", *keys))
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{path} is damaged: it holds something else than numbers") from None
    is_large = [(np.abs(column[np.isfinite(column)]) > _LARGEST).any() for column in columns]
    if any(is_large) or (steps > 2**53).any():
        raise UserError(f"{path} is damaged: it holds numbers too large to be drawn")
    if not (np.diff(steps, prepend=0) > 0).all():
        raise UserError(f"{path} is damaged: nb_steps does not rise from episode to episode")
    known = [(key, values, np.isfinite(values)) for key, values in zip(keys, columns, strict=True)]
    curves = {key: (steps[finite], values[finite]) for key, values, finite in known if finite.any()}
    if "episode_reward" not in curves:
        raise UserError(f"{path} holds no episode yet")
    beside = path.with_name(f"{path.stem.removesuffix('_log')}_config.toml")
    settings: dict[str, Any] = {}
    if beside.exists():
        settings = _decoded(beside, _settings, "TOML", "remove it to draw without the run's settings")
    run = settings.pop("run", None)
    solved = run.get("reward_threshold") if isinstance(run, dict) else None
    if threshold is None and isinstance(solved, int | float) and abs(solved) < _LARGEST:
        threshold = solved
    name = str(settings.get("env", path.stem.removeprefix("dqn_").removesuffix("_log")))
    shown = {key: value for key, value in settings.items() if key not in ("checkpoint_dir", "log_dir")}
    return Log(name, curves, shown, threshold)


def _settings(text: str) -> dict[str, Any]:
    """Return what TOML says, if JSON can say it too, as the picture will."""
    settings: dict[str, Any] = msgspec.toml.decode(text)
    json.dumps(settings, default=str)
    return settings


def _decoded(path: Path, decode: Callable[[str], Any], kind: str, hint: str) -> Any:
    try:
        return decode(read_file(path).decode())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text") from None
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise UserError(f"{path} is not {kind}: {error!s:.200}; {hint}") from None


def _groups(runs: Sequence[Log]) -> list[tuple[str, list[Log]]]:
    """Put runs together that differ in the seed only; name them after the environment and what else differs."""
    groups: dict[str, list[Log]] = {}
    for run in runs:
        others = [other.settings for other in runs if other.name == run.name]
        learning = {key: value for key, value in run.settings.items() if key not in INCIDENTAL}
        differing = [key for key, value in learning.items() if any(other.get(key) != value for other in others)]
        label = ", ".join([run.name, *(f"{key} {_text(run.settings[key])}" for key in differing)])
        groups.setdefault(label, []).append(run)
    named = []
    for label, group in groups.items():
        seed = f", seed {_text(group[0].settings['seed'])}" if "seed" in group[0].settings else ""
        label += f", {len(group)} runs" if len(group) > 1 else seed
        label = label[:_LONGEST]
        has_glyphs = "".join(letter if letter.isprintable() and letter < "\u0250" else "?" for letter in label)
        named.append((textwrap.fill(has_glyphs, 42), group))
    return named


def _text(value: Any) -> str:
    return value if isinstance(value, str) else shown(value)


def running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return at each place the mean of the last `window` values, of fewer at the beginning."""
    return np.convolve(values, np.ones(window))[: len(values)] / np.minimum(np.arange(1, len(values) + 1), window)


def mean_and_interval(curves: Sequence[Curve]) -> tuple[Curve, NDArray[np.float64]] | None:
    """Return the mean of two or more curves at 500 steps that all of them cover and half its 95% interval, if any."""
    first, last = max(steps[0] for steps, _ in curves), min(steps[-1] for steps, _ in curves)
    if first >= last:
        return None
    grid = np.linspace(first, last, 500)
    values = np.array([np.interp(grid, *curve) for curve in curves])
    half = student_t(len(curves) - 1) * values.std(axis=0, ddof=1) / math.sqrt(len(curves))
    return (grid, values.mean(axis=0)), half


def student_t(freedom: int) -> float:
    """Return the 97.5% quantile of Student's distribution, to a percent (Abramowitz and Stegun, 26.7.5 from 5 on)."""
    if freedom < 5:
        return (12.706, 4.303, 3.182, 2.776)[freedom - 1]
    return 1.960 + 2.372 / freedom + 2.823 / freedom**2 + 2.556 / freedom**3


def _figure(runs: Sequence[Log]) -> "Figure":
    """Draw reward, epsilon and loss one below the other; of many kinds of runs, the reward of each side by side."""
    from matplotlib.figure import Figure

    groups = _groups(runs)
    many, alike = len(groups) > len(COLOURS), len({run.name for run in runs}) == 1
    logged = {key for run in runs for key in run.curves}
    if len(groups) == 1:
        logged.discard("evaluation_reward")  # it is drawn with the rewards, which those of several kinds would hide
    panels = [(key, groups) for key in PANELS if key in logged]
    if many:
        panels = [("episode_reward", [group]) for group in groups]
    columns, in_a_row, width, ticks = (3, 3, 12, 4) if many else (1, 2, 8, 8)
    heights = [2.6 if many else PANELS[key][1] for key, _ in panels[::columns]]
    figure = Figure(figsize=(width, sum(heights) + 0.8), layout="constrained")
    figure.subplots(len(heights), columns, sharex=alike or not many, sharey=alike and many, height_ratios=heights)
    for axes in figure.axes[len(panels) :]:
        axes.remove()
    thresholds = sorted({run.threshold for run in runs if run.threshold is not None})
    threshold = textwrap.fill(f"reward threshold {', '.join(f'{value:g}' for value in thresholds)}", 42)
    for axes, (key, drawn) in zip(figure.axes, panels, strict=True):
        _draw_panel(axes, key, drawn, threshold)
    for place, axes in enumerate(figure.axes):
        axes.set_ylabel("" if place % columns else axes.get_ylabel())
        if place + columns >= len(panels):
            axes.set_xlabel("environment steps")
            axes.tick_params(labelbottom=True)
        axes.set_xlim(left=0)
        axes.locator_params("x", nbins=ticks, integer=True, steps=[1, 2, 2.5, 5, 10])
        axes.xaxis.set_major_formatter("{x:,.0f}")
    figure.align_ylabels()
    artists = [(str(line.get_label()), line) for axes in figure.axes for line in (*axes.lines, *axes.collections)]
    entries = dict(reversed(artists))  # the first of each label
    labels = sorted(dict(artists), key=lambda label: label in (EACH_RUN, INTERVAL))
    figure.set_figheight(figure.get_figheight() + 0.24 / in_a_row * sum(len(label.splitlines()) for label in labels))
    legend = figure.legend([entries[label] for label in labels], labels, loc="outside lower center", ncols=in_a_row)
    for label, handle in zip(labels, legend.legend_handles, strict=True):
        if handle is not None and label in (EACH_RUN, INTERVAL):  # they mean the same in all colours
            handle.set(color="0.3", alpha=entries[label].get_alpha())
    return figure


def _draw_panel(axes: "Axes", key: str, groups: Sequence[tuple[str, list[Log]]], threshold: str) -> None:
    """Draw a column of the logs; the reward of a single kind with its evaluations and a title."""
    runs = [run for _, group in groups for run in group]
    single, is_reward = len(groups) == 1, key == "episode_reward"
    if is_reward and len(runs) == 1:
        axes.plot(*runs[0].curves[key], ".", color="0.5", alpha=0.6, markersize=4, mew=0, label="episode")
    for colour, (label, group) in zip(COLOURS, groups, strict=False):
        _draw(axes, group, key, f"mean of the last {WINDOW} episodes" if single else label, color=colour)
    if is_reward and single:
        _draw(axes, runs, "evaluation_reward", "evaluation", color=COLOURS[1], linestyle="--")
        axes.set_title(groups[0][0])
    axes.set_ylabel(PANELS[key][0] + (f"\n(mean of the last {WINDOW})" if is_reward and not single else ""))
    for value in {run.threshold for run in runs if run.threshold is not None and key.endswith("reward")}:
        axes.axhline(value, color="black", linestyle=":", linewidth=1.4, label=threshold)
    if key == "mean_eps":
        axes.set_ylim(-0.05, 1.05)


def _draw(axes: "Axes", group: Sequence[Log], key: str, label: str, **style: Any) -> None:
    """Draw the runs of a kind, from three on their mean and its 95% interval, within what any of them reached."""
    window = WINDOW if key in ("episode_reward", "loss") else 1
    logged = [run.curves[key] for run in group if key in run.curves]
    curves = [(steps, running_mean(values, window)) for steps, values in logged]
    average = mean_and_interval(curves) if len(curves) > 2 else None
    if average is None or len(curves) <= MOST_LINES:
        thin = {"label": label} if average is None else {"label": EACH_RUN, "linewidth": 0.6, "alpha": 0.5}
        for steps, values in curves:
            marker = "o" if len(steps) == 1 or (average is None and key == "evaluation_reward") else None
            axes.plot(steps, values, marker=marker, **style, **thin)
    if average is not None:
        (steps, mean), half = average
        axes.plot(steps, mean, label=label, **style)
        reached = np.concatenate([values for _, values in curves])
        band = np.clip([mean - half, mean + half], reached.min(), reached.max())
        axes.fill_between(steps, *band, color=style["color"], alpha=0.2, linewidth=0, label=INTERVAL)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return command_line(lambda words: parse(PlotConfig, words), _run, argv)


def _run(config: PlotConfig) -> int:
    print(printable(f"curve {plot(config.logs, config.out, config.threshold)}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

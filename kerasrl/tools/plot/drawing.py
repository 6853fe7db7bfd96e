"""Draw the learning curve of a run, or those of several runs or seeds with their mean and its 95% interval."""

import contextlib
import io
import json
import logging
import math
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasrl.compat.matplotlib import import_matplotlib
from kerasrl.errors import UserError
from kerasrl.storage.files import require_place, write_whole
from kerasrl.tools.intervals import mean_and_interval
from kerasrl.tools.plot.logs import Log, groups_of, read_logs
from kerasrl.tools.plot.picture import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINDOW = 100  # episodes in a running mean
MOST_LINES = 10  # runs to draw one by one beside their mean; more would hide each other
FORMATS = (".png", ".svg", ".pdf")
# Okabe and Ito's colours, which colour-blind people can tell apart, minus those too pale for a line on white.
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
    "processed_reward": (f"reward after\nthe processor\n(mean of {WINDOW})", 1.4),
    "mean_eps": ("epsilon\n(probability of a\nrandom action)", 1.4),
    "loss": (f"loss\n(mean of {WINDOW}\nepisodes)", 1.4),
}
_OTHER = (f"\n(mean of {WINDOW})", 1.4)  # what follows a column's name, and its height
_OWN_REWARDS = ("episode_reward", "evaluation_reward")  # the environment's
EACH_RUN, INTERVAL = "each run", "95% interval of the runs' mean"


def plot(
    logs: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    threshold: float | None = None,
    labels: Sequence[str] = (),
    also: Sequence[str] = (),
) -> Picture:
    """Draw a picture of logs, which carries their settings as JSON (in a PNG: text "Keywords"), and return its path.

    A notebook shows the picture as the result.

    Runs that differ only in the seed, or have the same label, share a colour; seven or more such kinds get a panel
    each. Three or more runs of a kind are drawn with their mean and its 95% interval, where all of them have values;
    beside other kinds, or if they are more than ten, by these alone.

    Args:
        logs: Logs that FileLogger wrote, or folders of runs, such as those that `tune` leaves; one or several.
        out: File to write, .png, .svg or .pdf. By default ..._curve.png or curves.png, beside the first log or
            folder, or in the folder if there is but one.
        threshold: Reward to draw as a line. By default that of the settings beside each log.
        labels: A name for each of `logs`, under which it is drawn. By default what differs in the settings.
        also: Other columns of the logs to draw, such as is_success, as means of the last 100 episodes.

    Raises:
        UserError: A log or the settings beside it cannot be used, the labels do not fit, or the picture cannot be
            written.
    """
    paths = [Path(log) for log in ([logs] if isinstance(logs, str | Path) else logs)]
    if not paths:
        raise UserError("no log is named; name one, such as logs/dqn_CartPole-v0_log.json")
    if threshold is not None and not math.isfinite(threshold):
        raise UserError(f"threshold must be a finite number, not {threshold}")
    runs = read_logs(paths, labels, threshold, also)
    out = Picture(_default(paths) if out is None else out)
    if out.suffix.lower() not in FORMATS:
        raise UserError(f"cannot draw {out}: its name must end in {', '.join(FORMATS)}")
    require_place(out)
    picture = io.BytesIO()
    names = [{"run": run.run, "label": run.label} for run in runs]
    told = [
        {**run.settings, **{key: text for key, text in name.items() if text}}
        for run, name in zip(runs, names, strict=True)
    ]
    about = {"Keywords": json.dumps(told, default=str)}  # all three formats have Keywords
    with styled():
        _figure(runs).savefig(picture, format=out.suffix.lower()[1:], dpi=150, metadata=about)
    try:
        write_whole(out, picture.getvalue())
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from None
    return out


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Let Matplotlib draw in this project's style: the user's own could make a picture illegible."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # no notices of font and configuration folders
    import_matplotlib()
    import matplotlib.style  # here, so that --help does not wait for it

    with matplotlib.style.context(STYLE, after_reset=True):
        yield


def _default(paths: Sequence[Path]) -> Path:
    """Return the picture to write: beside the first log or folder, or in the folder if there is but one."""
    first = paths[0]
    if len(set(paths)) > 1:
        return first.parent / "curves.png"
    return first / "curves.png" if first.is_dir() else first.with_name(f"{first.stem.removesuffix('_log')}_curve.png")


def running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return, at each place, the mean of the last `window` values, or of fewer at the beginning."""
    return np.convolve(values, np.ones(window))[: len(values)] / np.minimum(np.arange(1, len(values) + 1), window)


def _figure(runs: Sequence[Log]) -> "Figure":
    """Draw reward, epsilon and loss one below the other; for many kinds of runs, only the rewards, side by side."""
    from matplotlib.figure import Figure

    groups = groups_of(runs)
    many, alike = len(groups) > len(COLOURS), len({run.name for run in runs}) == 1
    logged = {key for run in runs for key in run.curves}
    if len(groups) == 1:
        logged.discard("evaluation_reward")  # it is drawn with the rewards, where those of several kinds would hide it
    others = dict.fromkeys(key for run in runs for key in run.curves if key not in PANELS)  # that somebody wants to see
    panels = [(key, groups) for key in (*PANELS, *others) if key in logged]
    if many:
        panels = [("episode_reward", [group]) for group in groups]
    columns, in_a_row, width, ticks = (3, 3, 12, 4) if many else (1, 2, 8, 8)
    heights = [2.6 if many else PANELS.get(key, _OTHER)[1] for key, _ in panels[::columns]]
    figure = Figure(figsize=(width, sum(heights) + 0.8), layout="constrained")
    figure.subplots(len(heights), columns, sharex=alike or not many, sharey=alike and many, height_ratios=heights)
    for axes in figure.axes[len(panels) :]:
        axes.remove()
    thresholds = sorted({run.threshold for run in runs if run.threshold is not None})
    threshold = textwrap.fill(f"reward threshold {', '.join(f'{value:g}' for value in thresholds)}", 42)
    for axes, (key, drawn) in zip(figure.axes, panels, strict=True):
        _draw_panel(axes, key, drawn, threshold)
    if alike and all(run.label for run in runs) and not figure.axes[0].get_title():
        figure.axes[0].set_title(runs[0].name)  # labels do not say it
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
    runs = [run for _, group in groups for run in group]
    single, is_reward = len(groups) == 1, key == "episode_reward"
    if is_reward and len(runs) == 1:
        axes.plot(*runs[0].curves[key], ".", color="0.5", alpha=0.6, markersize=4, mew=0, label="episode")
    shows_each = single and len(runs) <= MOST_LINES
    for colour, (label, group) in zip(COLOURS, groups, strict=False):
        _draw(axes, group, key, f"mean of the last {WINDOW} episodes" if single else label, shows_each, color=colour)
    if is_reward and single:
        _draw(axes, runs, "evaluation_reward", "evaluation", shows_each, color=COLOURS[1], linestyle="--")
        axes.set_title(groups[0][0])
    axes.set_ylabel(
        PANELS.get(key, (textwrap.fill(key, 20) + _OTHER[0],))[0]
        + (f"\n(mean of the last {WINDOW})" if is_reward and not single else "")
    )
    for value in {run.threshold for run in runs if run.threshold is not None and key in _OWN_REWARDS}:
        axes.axhline(value, color="black", linestyle=":", linewidth=1.4, label=threshold)
    if key == "mean_eps":
        axes.set_ylim(-0.05, 1.05)


def _draw(axes: "Axes", group: Sequence[Log], key: str, label: str, shows_each: bool, **style: Any) -> None:
    window = 1 if key in ("evaluation_reward", "mean_eps") else WINDOW
    logged = [run.curves[key] for run in group if key in run.curves]
    curves = [(steps, running_mean(values, window)) for steps, values in logged]
    average, marker = mean_and_interval(curves), "o" if key == "evaluation_reward" else None
    if average is None or shows_each:
        thin = {"label": label} if average is None else {"label": EACH_RUN, "linewidth": 0.6, "alpha": 0.5}
        for steps, values in curves:
            marked = "o" if len(steps) == 1 else marker if average is None else None
            axes.plot(steps, values, marker=marked, **style, **thin)
    if average is not None:
        (steps, mean), band = average
        axes.plot(steps, mean, marker=marker, label=label, **style)
        axes.fill_between(steps, *band, color=style["color"], alpha=0.2, linewidth=0, label=INTERVAL)

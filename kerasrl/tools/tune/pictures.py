"""Pictures of a search, in the style of the learning curves: what its trials reached, and which settings matter."""

import io
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from kerasrl.storage.files import write_whole
from kerasrl.tools.plot.drawing import COLOURS, styled

if TYPE_CHECKING:
    import optuna
    from matplotlib.figure import Figure

HISTORY, IMPORTANCE = "history.png", "importance.png"
# Of eight settings, one of which decides more than all others together, it comes out first in 9 of 10 searches with 20
# finished trials, in 3 of 10 with 10 (25 searches of random trials each).
FEWEST_TRIALS = 20
_BEST_SHARE = 0.25

Score: TypeAlias = tuple[int, float]  # a trial's number and what it reached


def draw_pictures(study: "optuna.Study", ranked: Mapping[int, Sequence[float]], folder: Path) -> list[str]:
    """Write the pictures that there is something to draw for; return a line to print about each.

    Args:
        study: The search.
        ranked: By the number of each trial that was trained again: the mean reward of each fresh seed.
        folder: Folder to write to.
    """
    scored = [(trial.state.name, trial.number, trial.value) for trial in study.trials if trial.value is not None]
    finished, stopped = ([(n, value) for state, n, value in scored if state == one] for one in ("COMPLETE", "PRUNED"))
    if not finished:
        return ["no picture of the history: no trial is finished"]
    with styled():
        write_whole(folder / HISTORY, _png(_history(finished, stopped, ranked)))
        told = [f"history {folder / HISTORY}"]
        if reason := _why_unknown([score for _, score in finished]):
            return [*told, f"no picture of the importance: {reason}"]
        write_whole(folder / IMPORTANCE, _png(_importance(study, len(finished))))
    return [*told, f"importance {folder / IMPORTANCE}"]


def _why_unknown(scores: Sequence[float]) -> str:
    """Return why scores do not show which settings matter, "" if they do."""
    if len(scores) < FEWEST_TRIALS:
        return f"{len(scores)} finished trial{'s' if len(scores) > 1 else ''} cannot show it, {FEWEST_TRIALS} can"
    worst_of_best = sorted(scores, reverse=True)[math.ceil(_BEST_SHARE * len(scores)) - 1]
    return "too many trials have the same score" if worst_of_best == min(scores) else ""


def _history(finished: Sequence[Score], stopped: Sequence[Score], ranked: Mapping[int, Sequence[float]]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.subplots()
    numbers, scores = np.transpose(finished)
    axes.plot(numbers, scores, "o", color=COLOURS[0], markersize=5, mew=0, label="finished")
    if stopped:
        axes.plot(*np.transpose(stopped), "x", color="0.55", markersize=5, label="stopped, when it lagged")
    best = np.maximum.accumulate(scores)
    last = max(number for number, _ in (*finished, *stopped))
    axes.step([*numbers, last], [*best, best[-1]], where="post", color=COLOURS[0], label="best so far")
    if ranked:
        fresh = [(number, statistics.fmean(rewards)) for number, rewards in ranked.items()]
        axes.plot(*np.transpose(fresh), "D", color=COLOURS[1], markersize=5, mew=0, label="trained again, fresh seeds")
    axes.set(xlabel="trial", ylabel="score\n(mean of the best evaluations)")
    axes.locator_params("x", integer=True)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _importance(study: "optuna.Study", nb_finished: int) -> "Figure":
    from matplotlib.figure import Figure
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    evaluator = PedAnovaImportanceEvaluator(target_quantile=_BEST_SHARE)
    found = get_param_importances(study, evaluator=evaluator)
    names, shares = list(found)[::-1], list(found.values())[::-1]
    figure = Figure(figsize=(8, 1.4 + 0.35 * len(found)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(names, shares, color=COLOURS[0], height=0.6)
    axes.bar_label(bars, [f"{share:.0%}" for share in shares], padding=4)
    axes.grid(visible=False, axis="y")
    axes.tick_params("y", length=0)
    axes.set_xlim(0, 1.1 * max(shares))
    axes.xaxis.set_major_formatter("{x:.0%}")
    about = f"share in what sets the best quarter of the {nb_finished} finished trials apart (PED-ANOVA)"
    axes.set_xlabel(about, loc="right")
    return figure


def _png(figure: "Figure") -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    return picture.getvalue()

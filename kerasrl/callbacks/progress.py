"""What `fit` shows: at verbose=1 one live line, elsewhere than on a screen one per interval; at 2 one per episode."""

import datetime
import math
import sys
import time
from collections import deque
from typing import Any

import numpy as np
import rl.callbacks
from tqdm import tqdm

from kerasrl.errors import UserError

_RECENT_EPISODES = 100
_RECENT_STEPS = 1_000  # over which the loss is averaged
_DISPENSABLE = ("best", "loss", "epsilon", "episodes", "speed", "time")  # left out of a narrow terminal, in this order
_BAR = "{percentage:3.0f}%|{bar:10}| "  # as tqdm writes it: 17 columns
_BAR_FROM, _WORDS_FROM = 100, 170  # columns
_UNKNOWN_COLUMNS = 80  # of a terminal that does not know its width
_NOTEBOOK_COLUMNS = 120  # of its outputs; a browser wraps a longer line, and still redraws it
_PER_SECOND = 10  # redraws, at most


class TrainEpisodeLogger(rl.callbacks.TrainEpisodeLogger):
    """Keras-RL's lines, in which the mean action is that of the agent's own choices where the processor makes of them
    what has no mean: dictionaries, texts, objects. Rewards are the environment's own; what a processor makes of them
    follows in a line.
    """

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start counting from the agent's step, which is not 0 in a resume."""
        super().on_train_begin(logs)
        self.step = self.model.step

    def on_episode_begin(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        """Begin an episode."""
        super().on_episode_begin(episode, logs)
        self.choices: list[Any] = []

    def on_step_end(self, step: int, logs: dict[str, Any]) -> None:
        """Add a step."""
        super().on_step_end(step, logs)
        self.choices.append(self.model.recent_action)
        rewards = self.rewards[logs["episode"]]
        rewards[-1] = logs.get("environment_reward", rewards[-1])

    def on_episode_end(self, episode: int, logs: dict[str, Any]) -> None:
        """Print the line."""
        try:
            has_mean = np.asarray(self.actions[episode]).dtype.kind in "biuf"
        except ValueError:  # of different shapes
            has_mean = False
        if not has_mean:
            self.actions[episode] = self.choices
        super().on_episode_end(episode, logs)
        if (processed := _processed(logs)) is not None:
            print(f"after the processor: episode reward: {processed:.3f}")


class TestLogger(rl.callbacks.TestLogger):
    """Keras-RL's lines, with the environment's own rewards before what a processor makes of them."""

    def on_episode_end(self, episode: int, logs: dict[str, Any]) -> None:
        """Print the line."""
        if (processed := _processed(logs)) is None:
            super().on_episode_end(episode, logs)
        else:
            told = f"reward: {logs['environment_reward']:.3f}, steps: {logs['nb_steps']}"
            print(f"Episode {episode + 1}: {told}, after the processor: {processed:.3f}")


def _processed(logs: dict[str, Any]) -> float | None:
    """Return an episode's reward after the processor if that is another than the environment's own, or else None."""
    processed: float = logs["episode_reward"]
    return None if logs.get("environment_reward", processed) == processed else processed


class TrainProgress(rl.callbacks.Callback):
    """Show step, episodes, mean reward, epsilon, loss, speed and the time left.

    A terminal or a notebook gets one line, as much of it as fits, that is redrawn up to ten times a second; a file gets
    a plain line every `interval` steps. The reward, the environment's own, is the mean of the last 100 episodes, the
    loss that of the last 1,000 steps, or the latest where there was no update in these, and the speed that of the last
    second or interval; in the last line, that of the whole `fit`.
    The live line shows speed and time left only after a second of learning, since the first update has to be compiled.
    """

    def __init__(self, interval: int = 10_000) -> None:
        super().__init__()
        if interval < 1:
            raise UserError(f"log_interval must be at least 1, not {interval}")
        self.interval = interval
        self._line: _Line | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start counting from the agent's step, which is not 0 in a resume."""
        names = self.model.metrics_names
        self._epsilon = names.index("mean_eps") if "mean_eps" in names else None
        self._loss = names[0].replace("_", " ") if names else "loss"  # an agent without one has another measure there
        self._metrics: deque[list[float]] = deque(maxlen=_RECENT_STEPS)
        self._latest = math.nan  # loss
        self._rewards: deque[float] = deque(maxlen=_RECENT_EPISODES)
        self._processed: deque[float] = deque(maxlen=_RECENT_EPISODES)
        self._best: float | None = None
        self._nb_episodes = 0
        self._first = self._marked = self.step = self.model.step
        self._start = self._mark = time.perf_counter()
        self._ended = False
        if sys.stdout.isatty() or _is_notebook():  # someone may be watching
            self._line = _Line(self, self.step, self.params["nb_steps"])

    def on_episode_begin(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        """Count the episodes, including those before a resume."""
        self._nb_episodes = episode

    def on_step_end(self, step: int, logs: dict[str, Any]) -> None:
        """Redraw the line, or print one when it is due."""
        metrics = logs["metrics"]
        self._metrics.append(metrics)
        if len(metrics) and metrics[0] == metrics[0]:  # not NaN
            self._latest = metrics[0]
        self.step += 1
        if self._line is not None:
            self._line.update()
        elif self.step % self.interval == 0 and self.step < self.params["nb_steps"]:
            now = time.perf_counter()
            print(self.text((self.step - self._marked) / (now - self._mark)), flush=True)
            self._mark, self._marked = now, self.step

    def on_episode_end(self, episode: int, logs: dict[str, Any]) -> None:
        """Add the episode."""
        self._nb_episodes = episode + 1
        self._rewards.append(logs.get("environment_reward", logs["episode_reward"]))
        self._processed.append(logs["episode_reward"])
        self._note_evaluation(logs)

    def _note_evaluation(self, logs: dict[str, Any]) -> None:
        evaluation = logs.get("evaluation_reward")
        if evaluation is not None and math.isfinite(evaluation):
            self._best = evaluation if self._best is None else max(self._best, evaluation)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Leave a last line, however the training ended."""
        self._note_evaluation(logs or {})
        self._ended = True
        if self._line is not None:
            self._line.leave = self.step > self._first
            self._line.close()
        elif self.step > self._first:
            print(self.text(None), flush=True)

    def get_state(self) -> dict[str, Any]:
        """Return what the line says about the steps before a resume."""
        state = {"rewards": self._rewards, "best": self._best, "latest": self._latest}
        return {**state, "processed": self._processed}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned; to be called once the training has begun."""
        self._rewards, self._best = state["rewards"], state["best"]
        self._latest = state.get("latest", math.nan)  # earlier versions did not keep it, nor other rewards
        self._processed = state.get("processed", self._rewards.copy())

    @property
    def has_learned(self) -> bool:
        """Whether there was an update in the last 1,000 steps."""
        return bool(self._known(0))

    def _known(self, place: int) -> list[float]:
        """Return the values that a metric had in recent steps."""
        return [metrics[place] for metrics in self._metrics if len(metrics) and not math.isnan(metrics[place])]

    def text(self, speed: float | None, columns: int | None = None) -> str:
        """Return the line in words, or what fits into `columns` of a terminal, as a format for tqdm.

        `speed` is in steps per second, None if it is not known yet.
        """
        facts = self._facts(speed)
        if columns is None:
            return ", ".join(words for words, _ in facts.values())
        bar, room = (_BAR, columns - 17) if columns >= _BAR_FROM else ("", columns)
        separator, form = (", ", 0) if columns >= _WORDS_FROM else ("  ", 1)
        for name in _DISPENSABLE:
            if len(separator.join(fact[form] for fact in facts.values())) <= room:
                break
            facts.pop(name, None)
        return bar + separator.join(fact[form] for fact in facts.values())

    def _facts(self, speed: float | None) -> dict[str, tuple[str, str]]:
        """Return what is known, in words and short, in the order of the line."""
        total, rewards = self.params["nb_steps"], self._rewards
        seconds = time.perf_counter() - self._start
        if self._ended:
            speed = (self.step - self._first) / seconds
        reward = f"{sum(rewards) / len(rewards):.1f}" if rewards else "-"
        of = f" of the last {len(rewards)} episodes" if rewards else ""
        learned = self._processed
        after = "" if learned == rewards else f" (after the processor {sum(learned) / len(learned):.1f})"
        losses = self._known(0) or [self._latest]
        loss = "-" if math.isnan(self._latest) else f"{sum(losses) / len(losses):.3g}"
        facts = {
            "step": (f"step {self.step:,} of {total:,}", f"{_short(self.step)}/{_short(total)}"),
            "episodes": (f"episodes {self._nb_episodes:,}", f"{_short(self._nb_episodes)} ep"),
            "reward": (f"mean reward{of} {reward}{after}", f"reward {reward}"),
        }
        if self._best is not None:
            facts["best"] = (f"best evaluation {self._best:.1f}", f"best {self._best:.4g}")
        if self._epsilon is not None:
            known = self._known(self._epsilon)
            both = (f"{known[-1]:.2f}", f"{known[-1]:.2g}") if known else ("-", "-")
            facts["epsilon"] = (f"epsilon {both[0]}", f"eps {both[1]}")
        facts["loss"] = (f"{self._loss} {loss}", f"{self._loss} {loss}")
        if speed:
            rate = f"{speed:,.0f}" if speed >= 10 else f"{speed:.2g}"
            facts["speed"] = (f"{rate} steps/s", f"{rate if speed < 10 else _short(round(speed))}/s")
            left = seconds if self._ended else (total - self.step) / speed
            words = str(datetime.timedelta(seconds=round(left)))
            short = tqdm.format_interval(left)
            facts["time"] = (f"took {words}", f"took {short}") if self._ended else (f"{words} left", short)
        return facts


class PlayoffProgress(rl.callbacks.Callback):
    """Show, in a terminal or a notebook, how many episodes of a playoff some weights have played.

    Args:
        text: What the line begins with.
        nb_episodes: How many they play.
    """

    def __init__(self, text: str, nb_episodes: int) -> None:
        super().__init__()
        is_watched = sys.stdout.isatty() or _is_notebook()
        form = f"{text}: {{n_fmt}} of {{total_fmt}} episodes"
        options = {"file": sys.stdout, "dynamic_ncols": True, "mininterval": 1 / _PER_SECOND, "miniters": 1}
        self._line = tqdm(total=nb_episodes, bar_format=form, leave=False, disable=not is_watched, **options)

    def on_episode_end(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        """Count an episode."""
        self._line.update()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Remove the line."""
        self._line.close()


class _Line(tqdm):
    """A line that asks `TrainProgress` for its text whenever tqdm draws it."""

    monitor_interval = 0  # no thread that redraws a line in which nothing has changed
    nrows: int | None

    def __init__(self, progress: TrainProgress, initial: int, total: int) -> None:
        self.progress = progress
        self._redraws: deque[tuple[float, int]] = deque(maxlen=_PER_SECOND + 1)  # time and step, since the first update
        # miniters=1: reading the clock at each step costs little, and a sudden slowdown is not missed
        super().__init__(
            initial=initial, total=total, file=sys.stdout, dynamic_ncols=True, mininterval=1 / _PER_SECOND, miniters=1
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Draw, except before the first step, when there is nothing to say."""
        self.nrows = max(self.nrows or 0, 0)  # tqdm turns the 0 of a terminal of unknown height into -1
        return self.n == self.initial or bool(super().display(msg, pos))

    @property
    def format_dict(self) -> dict[str, Any]:
        """Return what tqdm draws from, with the current text."""
        values: dict[str, Any] = super().format_dict
        columns = _NOTEBOOK_COLUMNS if _is_notebook() else values["ncols"] or 0
        if columns < 1:  # tqdm subtracts 1 from the 0 of a terminal that does not know its width
            columns = _UNKNOWN_COLUMNS
        room = columns - 1  # a full row would move the cursor to the next one
        return {**values, "ncols": columns, "bar_format": self.progress.text(self._speed(), room)}

    def _speed(self) -> float | None:
        """Return the steps per second over the last ten redraws, None before a second of learning."""
        if self._redraws or self.progress.has_learned:
            self._redraws.append((time.perf_counter(), self.n))
        if not self._redraws:
            return None
        (begin, first), (end, last) = self._redraws[0], self._redraws[-1]
        return (last - first) / (end - begin) if end - begin >= 1 else None


def _is_notebook() -> bool:
    return type(sys.stdout).__module__.startswith("ipykernel")


def _short(number: int) -> str:
    return str(number) if number < 100_000 else tqdm.format_sizeof(number)

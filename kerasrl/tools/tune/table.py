"""What you see while trainings run: a table that is redrawn in a terminal, elsewhere a line for each event."""

import datetime
import math
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kerasrl.errors import printable
from kerasrl.phrases import reward_text
from kerasrl.tools.tune.worker import News

if TYPE_CHECKING:
    from rich.table import Table as RichTable

_BESIDE = 6  # lines of a terminal not available to rows: head, frame, prompt


@dataclass
class _Row:
    nb_steps: int
    about: str
    first: int = 0  # step at which this command began
    begin: float = field(default_factory=time.monotonic)
    step: int = 0
    reward: float | None = None
    best: float | None = None
    state: str = "starts"
    seed: int = -1  # the one being trained

    def left(self) -> str:
        done, seconds = self.step - self.first, time.monotonic() - self.begin
        if done <= 0 or seconds < 1:
            return ""
        return str(datetime.timedelta(seconds=round((self.nb_steps - self.step) * seconds / done)))


class Table:
    """Rows of seeds or trials, shown by `with Table(...)`; `title` says what a row is: "seed" or "trial"."""

    def __init__(self, title: str) -> None:
        self._title, self._rows, self._live = title, dict[str, _Row](), None

    def __enter__(self) -> "Table":
        if sys.stdout.isatty():
            from rich.live import Live

            live: Any = Live(get_renderable=self._table, refresh_per_second=4)
            self._live = live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.__exit__(*exception)

    def add(self, name: str, nb_steps: int, about: str = "") -> None:
        """Add a row for a job."""
        self._rows[name] = _Row(nb_steps, about)
        self._tell(f"{name}: {about}" if about else "")

    def update(self, name: str, news: News) -> None:
        """Show how far a job is."""
        row = self._rows[name]
        if news.begins:
            if news.seed == row.seed:
                self.line(f"{name}: its worker was lost after step {row.step:,}; {news.begins}")
            else:
                self._tell(f"{name}: {news.begins}")
            row.first, row.begin, row.state, row.seed = news.step, time.monotonic(), "runs", news.seed
        row.step = news.step
        row.best = news.best if news.best is not None else row.best
        if news.reward is not None:
            row.reward, left = news.reward, row.left()
            self._tell(
                f"{name}: step {news.step:,} of {row.nb_steps:,}, evaluation {reward_text(news.reward)}, "
                f"best {_words(row.best)}{f', {left} left' if left else ''}"
            )

    def end(self, name: str, state: str, is_failure: bool = False) -> None:
        """Show how a job ended; for a failure, also print a line in a terminal."""
        self._rows[name].state = state
        (self.line if is_failure else self._tell)(f"{name}: {state}")

    def line(self, text: str) -> None:
        """Print a line, above the table if there is one."""
        text = printable(text)
        if self._live is None:
            print(text)
        else:
            self._live.console.print(text, markup=False, highlight=False)

    def _tell(self, text: str) -> None:
        if text and self._live is None:
            self.line(text)

    def _table(self) -> "RichTable":
        """Draw what fits: running jobs, and the latest of the others."""
        from rich import box
        from rich.table import Table as RichTable

        table = RichTable(box=box.SIMPLE_HEAD)
        for title in (self._title, "step", "evaluation", "best", "time left", ""):
            table.add_column(title, justify="right" if title not in (self._title, "") else "left", no_wrap=True)
        room = max(1, (self._live.console.height if self._live else 25) - _BESIDE)
        runs = [name for name, row in self._rows.items() if row.state in ("starts", "runs")]
        others = [name for name in self._rows if name not in runs]
        spare = room - len(runs)
        shown = {*runs[:room], *(others[-spare:] if spare > 0 else ())}
        for name in filter(shown.__contains__, self._rows):
            row = self._rows[name]
            is_running = row.state == "runs"
            state = row.about if is_running else ", ".join(filter(None, [row.state, row.about]))
            table.add_row(
                name.removeprefix(f"{self._title} "), f"{row.step:,}", _words(row.reward), _words(row.best),
                row.left() if is_running else "", printable(state),
            )  # fmt: skip
        return table


def _words(reward: float | None) -> str:
    return "" if reward is None or math.isnan(reward) else reward_text(reward)

"""The live line in a terminal and the plain lines elsewhere."""

import fcntl
import io
import itertools
import os
import pty
import re
import struct
import sys
import termios
import threading

import keras
import numpy as np
import pytest
import rl.callbacks
from keras import layers
from rl.policy import EpsGreedyQPolicy, LinearAnnealedPolicy

from kerasrl import DQNAgent, SequentialMemory, UserError
from kerasrl.callbacks import TrainProgress
from kerasrl.storage import TrainingState


class Clock:
    """The clock that the lines read; `milliseconds` pass in each step of an environment, and at no other time."""

    now, milliseconds = 0, 200

    def perf_counter(self):
        return self.now / 1000


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("kerasrl.callbacks.progress.time", clock)
    monkeypatch.setattr("tqdm.std.time", clock.perf_counter)
    monkeypatch.setattr(Env, "clock", clock)
    return clock


class Env:
    """Every step gives a reward of 1; the k-th episode ends after `length` + k steps."""

    clock = Clock()

    def __init__(self, length=3, error=None, at=None):
        self.length, self.error, self.at, self.nb_steps, self.nb_episodes = length, error, at, 0, 0

    def reset(self, seed=None):
        self.end = self.nb_steps + self.length + self.nb_episodes
        self.nb_episodes += 1
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.nb_steps += 1
        self.clock.now += self.clock.milliseconds
        if self.nb_steps == self.at:
            raise self.error
        return np.zeros(2, np.float32), 1.0, self.nb_steps >= self.end, False, {}


def build_agent(annealed=True, kind=DQNAgent, **options):
    eps = EpsGreedyQPolicy(0.5)
    policy = LinearAnnealedPolicy(eps, "eps", value_max=1.0, value_min=0.1, value_test=0.0, nb_steps=18)
    model = keras.Sequential([keras.Input((1, 2)), layers.Flatten(), layers.Dense(2)])
    options = {"nb_steps_warmup": 5, "batch_size": 4, "policy": policy if annealed else eps} | options
    agent = kind(model=model, nb_actions=2, memory=SequentialMemory(limit=100), **options)
    agent.compile("sgd", metrics=["mae"], jit_compile=False)
    return agent


class Evaluate(rl.callbacks.Callback):
    """Evaluates at the end of each episode: -inf, 0, 5, 4, ...; None at the first."""

    def __init__(self, says=""):
        super().__init__()
        self.results, self.says = itertools.chain([None, -np.inf, 0.0, 5.0], itertools.repeat(4.0)), says

    def on_episode_end(self, episode, logs):
        logs["evaluation_reward"] = next(self.results)
        if self.says:
            print(self.says)


class Terminal:
    """A pseudo-terminal as standard output; `shown` is what was written to it."""

    def __init__(self, monkeypatch, columns):
        self.reading, writing = pty.openpty()
        fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 24 if columns else 0, columns, 0, 0))
        self.shown, self.stream = b"", os.fdopen(writing, "w", encoding="utf-8")
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        monkeypatch.setattr(sys, "stdout", self.stream)

    def read(self):
        while b"\0" not in self.shown:
            self.shown += os.read(self.reading, 4096)

    def rows(self):
        """Return what each row showed, one text after another, as it was drawn."""
        self.stream.write("\0")  # the end: what is still unread when a terminal closes may be lost
        self.stream.flush()
        self.reader.join()
        self.stream.close()
        os.close(self.reading)
        text = self.shown.decode().removesuffix("\0").replace("\r\n", "\n")
        return [row.split("\r") for row in text.split("\n")]


@pytest.fixture
def terminal(monkeypatch):
    return lambda columns=80: Terminal(monkeypatch, columns)


# Plain lines


@pytest.mark.long
def test_a_line_each_interval_and_one_for_the_rest(capsys):
    build_agent().fit(Env(), 28, verbose=1, log_interval=10)
    first, second, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"step 10 of 28, episodes 2, mean reward of the last 2 episodes 3.5, epsilon 0.55, loss \d\S*, 5 steps/s, "
        r"0:00:04 left",
        first,
    )
    assert second.startswith("step 20 of 28, episodes 4, mean reward of the last 4 episodes 4.5, epsilon 0.10, loss ")
    assert re.fullmatch(r"step 28 of 28, episodes 5, mean .* 5.0, epsilon 0.10, .*, 5 steps/s, took 0:00:06", last)


@pytest.mark.long
def test_the_last_interval_has_one_line_with_its_last_episode(capsys):
    build_agent().fit(Env(10), 10, verbose=1, log_interval=10)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("step 10 of 10, episodes 1, mean reward of the last 1 episodes 10.0")


def test_the_mean_is_of_the_last_100_episodes(capsys):
    build_agent(nb_steps_warmup=10**9).fit(Env(1), 102 * 103 // 2, verbose=1)
    rewards = range(3, 103)
    assert f"episodes 102, mean reward of the last 100 episodes {np.mean(rewards):.1f}, " in capsys.readouterr().out


def test_what_is_not_known_yet(capsys):
    build_agent().fit(Env(10**6), 4, verbose=1, log_interval=2)
    for line in capsys.readouterr().out.splitlines():
        assert re.match(r"step \d of 4, episodes 0, mean reward -, epsilon -, loss -, ", line)


def test_without_an_epsilon(capsys):
    build_agent(annealed=False).fit(Env(), 10, verbose=1)
    (line,) = capsys.readouterr().out.splitlines()
    assert "epsilon" not in line and re.search(r"3.5, loss \d", line)


@pytest.mark.long
def test_the_loss_is_the_mean_of_the_steps_that_were_trained_on(capsys):
    class Losses(rl.callbacks.Callback):
        def on_step_end(self, step, logs):
            losses.append(logs["metrics"][0])

    losses = []
    build_agent(train_interval=4).fit(Env(), 1500, callbacks=[Losses()], verbose=1)
    assert f"loss {np.nanmean(losses[-1000:]):.3g}, " in capsys.readouterr().out


def test_the_loss_is_the_latest_where_no_recent_step_was_trained_on(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("kerasrl.callbacks.progress._RECENT_STEPS", 3)
    losses = []

    class Losses(rl.callbacks.Callback):
        def on_step_end(self, step, logs):
            losses.append(logs["metrics"][0])

    agent, states = build_agent(train_interval=8), [TrainingState(tmp_path / "state", interval=1) for _ in range(2)]
    agent.fit(Env(10), 21, callbacks=[Losses()], verbose=1, log_interval=100, state=states[0])
    loss = f"loss {losses[16]:.3g}, "
    assert losses[16] == losses[16] and np.isnan(losses[17:]).all() and loss in capsys.readouterr().out
    agent = build_agent(train_interval=10**6)
    agent.fit(Env(10), 24, verbose=1, log_interval=100, state=states[1], resume=True)
    assert loss in capsys.readouterr().out


@pytest.mark.long
def test_an_agent_without_metrics_has_a_line_too(capsys):
    class Silent(DQNAgent):
        metrics_names = ()

        def backward(self, reward, terminal=False):
            super().backward(reward, terminal)
            return []

    build_agent(kind=Silent).fit(Env(), 10, verbose=1)
    assert ", loss -, " in capsys.readouterr().out


def test_the_best_evaluation(capsys):
    build_agent().fit(Env(), 40, callbacks=[Evaluate()], verbose=1, log_interval=8)
    lines = capsys.readouterr().out.splitlines()
    found = [re.search(r"best evaluation ([-\d.]+), epsilon", line) for line in lines]
    assert [match and match[1] for match in found] == [None, "0.0", "5.0", "5.0", "5.0"]


@pytest.mark.long
def test_a_resumed_run_goes_on_counting(tmp_path, capsys):
    agent = build_agent()
    agent.fit(Env(10), 10, verbose=0, state=TrainingState(tmp_path / "state", interval=1))
    agent = build_agent()
    agent.fit(Env(10), 30, verbose=1, log_interval=20, state=TrainingState(tmp_path / "state"), resume=True)
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("step 20 of 30, episodes 1, mean reward -, epsilon 0.10")
    assert last.startswith("step 30 of 30, episodes 2, mean reward of the last 1 episodes 10.0")


class Agent:
    metrics_names = ("loss", "mean_eps")
    step = 1_000


def test_speed_and_time_left_are_those_of_the_steps_since_the_resume(clock, capsys):
    progress = TrainProgress(interval=500)
    progress.set_model(Agent())
    progress.set_params({"nb_steps": 3_000})
    progress.on_train_begin({})
    for step in range(1_200):
        clock.now += 2 if step < 500 else 4
        progress.on_step_end(step, {"metrics": [1.0, 0.5]})
    progress.on_train_end({})
    lines = capsys.readouterr().out.splitlines()
    start = "step 1,500 of 3,000, episodes 0, mean reward -, epsilon 0.50, loss 1"
    assert lines[0] == f"{start}, 500 steps/s, 0:00:03 left"
    assert lines[1].endswith("250 steps/s, 0:00:04 left")
    assert lines[2].endswith("316 steps/s, took 0:00:04")


@pytest.mark.long
def test_nothing_is_said_where_nothing_is_left_to_do(tmp_path, capsys):
    state = TrainingState(tmp_path / "state", interval=1)
    build_agent().fit(Env(10), 10, verbose=0, state=state)
    build_agent().fit(Env(10), 10, verbose=1, state=state, resume=True)
    assert capsys.readouterr() == ("", "")


def test_a_run_that_is_stopped_says_how_far_it_got(capsys):
    agent = build_agent()
    agent.fit(Env(error=KeyboardInterrupt, at=8), 20, verbose=1)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("step 7 of 20, episodes 2,") and "took" in line


def test_an_interval_must_be_positive():
    with pytest.raises(UserError, match="log_interval must be at least 1, not 0"):
        build_agent().fit(Env(), 5, log_interval=0)


# A live line


def test_one_row_is_redrawn_and_left_complete(terminal):
    screen = terminal()
    build_agent().fit(Env(), 28, verbose=1)
    (empty, *row), rest = screen.rows()
    assert (empty, rest) == ("", [""])
    assert [text.split("/")[0] for text in row] == [str(step) for step in [*range(1, 29), 28]]
    assert re.match(r"1/28  0 ep  reward -", row[0])  # nothing before there is something to tell
    assert re.fullmatch(r"28/28  5 ep  reward 5.0  eps 0.1  loss \d\S*  5/s  took 00:05 *", row[-1])


@pytest.mark.long
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (30, r"297/297  reward 13\.5"),
        (50, r"297/297  22 ep  reward 13\.5  100/s  took 00:02"),
        (60, r"297/297  22 ep  reward 13\.5  eps 0\.1  100/s  took 00:02"),
        (80, r"297/297  22 ep  reward 13\.5  best 5  eps 0\.1  loss \S+  100/s  took 00:02"),
        (120, r"100%\|█{10}\| 297/297  22 ep  reward 13\.5  best 5  eps 0\.1  loss \S+  100/s  took 00:02"),
        (200, r"100%\|█{10}\| step 297 of 297, episodes 22, mean .* 13\.5, best evaluation 5\.0, epsilon .*"),
    ],
)
def test_the_line_fits_the_terminal(terminal, clock, columns, expected):
    clock.milliseconds = 10
    screen = terminal(columns)
    build_agent(train_interval=10).fit(Env(), 297, callbacks=[Evaluate()], verbose=1)
    (*row, last), _ = screen.rows()
    assert all(len(text) < columns for text in [*row, last])
    assert re.fullmatch(expected, last.rstrip())


@pytest.mark.long
def test_speed_and_time_left_wait_for_a_second_of_learning(terminal, clock):
    class Slow(Env):
        """Takes half a second for the first update, as if it were compiled."""

        def step(self, action):
            clock.milliseconds = 500 if self.nb_steps == 6 else 20
            return super().step(action)

    screen = terminal()
    build_agent().fit(Slow(10**6), 100, verbose=1)
    (_, *row, last), _ = screen.rows()
    told = [text for text in row if "/s" in text]
    assert 0 < len(told) < len(row)
    assert all(int(text.split("/")[0]) > 50 and "  50/s  00:0" in text for text in told)
    assert "/s  took 00:02" in last


@pytest.mark.long
def test_a_terminal_of_unknown_size_is_taken_for_80_columns(terminal):
    screen = terminal(0)
    build_agent().fit(Env(), 28, verbose=1)
    (*_, last), _ = screen.rows()
    assert re.fullmatch(r"28/28  5 ep  reward 5.0  eps 0.1  loss \d\S*  5/s  took 00:05 *", last)


def test_the_line_is_redrawn_at_most_ten_times_a_second(terminal, clock):
    clock.milliseconds = 30
    screen = terminal()
    build_agent(nb_steps_warmup=10**9).fit(Env(), 402, verbose=1)
    (_, *row), _ = screen.rows()
    assert [text.split("/")[0] for text in row] == [str(step) for step in [*range(4, 402, 4), 402]]


@pytest.mark.long
def test_a_notebook_has_the_line_too(monkeypatch):
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    monkeypatch.setattr(sys, "stdout", stream)
    build_agent().fit(Env(), 28, verbose=1)
    *row, last = stream.getvalue().removesuffix("\n").split("\r")
    assert len(row) == 29 and last.startswith("100%|##########| 28/28  5 ep  reward 5.0  eps 0.1  loss ")


@pytest.mark.long
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_comes_after_an_interrupted_line_is_on_its_own(terminal, error):
    screen = terminal()
    try:
        build_agent().fit(Env(error=error, at=8), 20, verbose=1)
    except ZeroDivisionError:
        print("error: division by zero")
    else:
        print("stopped")
    row, after, _ = screen.rows()
    assert row[-1].startswith("7/20  2 ep  reward 3.5") and "took" in row[-1]
    assert after == ["error: division by zero" if error is ZeroDivisionError else "stopped"]


@pytest.mark.long
def test_a_callback_may_print_meanwhile(terminal):
    screen = terminal()
    build_agent().fit(Env(), 28, callbacks=[Evaluate(says="hello")], verbose=1)
    *rows, _ = screen.rows()
    assert sum(row[-1].endswith("hello") for row in rows) == 5
    assert rows[-1][-1].startswith("28/28  5 ep  reward 5.0  best 5")


@pytest.mark.long
def test_nothing_is_left_of_a_line_without_a_step(terminal, tmp_path):
    state = TrainingState(tmp_path / "state", interval=1)
    build_agent().fit(Env(10), 10, verbose=0, state=state)
    screen = terminal()
    build_agent().fit(Env(10), 10, verbose=1, state=state, resume=True)
    (row,) = screen.rows()
    assert [text.strip() for text in row][-2:] == ["", ""]


@pytest.mark.long
def test_a_resumed_line_goes_on_counting(terminal, tmp_path):
    build_agent().fit(Env(10), 10, verbose=0, state=TrainingState(tmp_path / "state", interval=1))
    screen = terminal(120)
    agent = build_agent()
    agent.fit(Env(10), 30, verbose=1, state=TrainingState(tmp_path / "state"), resume=True)
    row, _ = screen.rows()
    assert re.match(r" 37%\|███▋      \| 11/30  [01] ep  reward -", row[1])
    assert row[-1].startswith("100%|██████████| 30/30  2 ep  reward 10.0")


@pytest.mark.long
def test_no_thread_is_left(terminal):
    screen = terminal()
    build_agent().fit(Env(), 28, verbose=1)
    screen.rows()
    assert not any("tqdm" in type(thread).__module__ for thread in threading.enumerate())

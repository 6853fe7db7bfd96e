"""Runs that are killed, stopped or hindered, as train.py's command line runs them."""

import errno
import fcntl
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gym
import numpy as np
import pytest
import rl.callbacks
import rl.core
from gym.envs.classic_control.cartpole import CartPoleEnv

import model
from kerasrl import Config, train
from kerasrl.agents import loop
from kerasrl.cli.door import run as run_command
from kerasrl.cli.layers import parse_config
from kerasrl.config.resuming import resumed
from kerasrl.storage import files, weights

ROOT = Path(__file__).parents[2]
# Short episodes first, several states, and a replay memory that wraps round.
SHORT = ["--nb-steps", "1000", "--seed", "7", "--state-interval", "125", "--memory-limit", "450", "--verbose", "0"]
SHORT += ["--checkpoint-interval", "500", "--log-interval", "10", "--eval-interval", "350", "--eval-episodes", "2"]
SHORT += ["--hidden-layers", "8"]


def folders(path):
    return ["--checkpoint-dir", str(path / "checkpoints"), "--log-dir", str(path / "logs")]


def result(path):
    """Return the final and the best weights, and the log without its times."""
    saved = [weights.read(path / "checkpoints" / f"dqn_CartPole-v0_{which}.h5f") for which in ("weights", "best")]
    log = json.loads((path / "logs" / "dqn_CartPole-v0_log.json").read_text())
    log.pop("duration")
    return [array for file in saved for layer in file.layers for array in layer.values()], log


def assert_same_result(path, expected):
    for actual, wanted in zip(result(path)[0], expected[0], strict=True):
        np.testing.assert_array_equal(actual, wanted)
    assert result(path)[1] == expected[1]


# Runs in the process of a training first: sends it a signal in its `nb_events`-th step or access to a file since it
# wrote so many states. No clock says when, so it is the same moment on any machine.
STRUCK = """
import os, sys
from gym.envs.classic_control.cartpole import CartPoleEnv
nb_states, nb_events, kind, number, folder, step = *{}, CartPoleEnv.step
def happened(what):
    global nb_events
    if what == kind and nb_states == 0:
        nb_events -= 1
        if nb_events == 0:
            os.kill(os.getpid(), number)
def hook(event, arguments):
    global nb_states
    if event in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(folder):
        happened("file")
        nb_states -= nb_states > 0 and event == "os.rename" and str(arguments[1]).endswith("_state")
def stepped(*arguments):
    happened("step")
    return step(*arguments)
CartPoleEnv.step = stepped
sys.addaudithook(hook)
"""


class Training:
    """train.py in processes of its own, with files in the folders of `path`."""

    def __init__(self, python, path):
        self.python, self.path = python, path

    def run(self, arguments, before=""):
        command = [str(ROOT / "train.py"), *arguments, *folders(self.path)]
        return self.python.run(self.path, *command, before=before).status

    def struck(self, arguments, nb_states, nb_events=1, kind="step", number=signal.SIGKILL):
        moment = (nb_states, nb_events, kind, int(number), str(self.path))
        return self.run(arguments, STRUCK.format(moment))


@pytest.fixture(scope="module")
def uninterrupted(python, tmp_path_factory):
    path = tmp_path_factory.mktemp("uninterrupted")
    assert Training(python, path).run(SHORT) == 0
    return result(path)


@pytest.fixture
def training(python, tmp_path):
    return Training(python, tmp_path)


@pytest.mark.parametrize(
    "moments",
    [
        # Twice in a row: while a state is written, and between two of them.
        [(2, 3, "file"), (1, 40, "step")],
        *(
            pytest.param([moment], marks=pytest.mark.long)
            for moment in [
                (0, 22, "file"),
                (1, 1, "file"),
                (3, 2, "file"),
                (4, 90, "step"),
                (5, 6, "file"),
                (6, 4, "step"),
            ]
        ),
    ],
    ids=str,
)
def test_killed_at_any_moment_and_resumed_is_as_never_killed(training, uninterrupted, tmp_path, moments):
    resume = []
    for moment in moments:
        assert training.struck(SHORT + resume, *moment) == -signal.SIGKILL
        resume = ["--resume"]
    assert training.run([*SHORT, "--resume"]) == 0
    assert_same_result(tmp_path, uninterrupted)
    assert not list(tmp_path.glob("*/.*.tmp"))


@pytest.mark.long
def test_priorities_and_returns_of_several_steps_go_on_as_if_never_killed(python, tmp_path):
    options = [*SHORT, "--memory", "prioritized", "--priority-nb-steps", "750", "--n-step", "3"]
    options += ["--learning-rate-nb-steps", "750", "--learning-rate-end", "0.0001"]
    for name in ("whole", "2", "5"):  # killed before and after the memory's ring wraps round
        (tmp_path / name).mkdir()
    assert Training(python, tmp_path / "whole").run(options) == 0
    for nb_states in (2, 5):
        training = Training(python, tmp_path / str(nb_states))
        assert training.struck(options, nb_states, 30) == -signal.SIGKILL
        assert training.run(["--resume"]) == 0
        assert_same_result(training.path, result(tmp_path / "whole"))


@pytest.mark.long
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_stopped_by_a_signal_and_resumed_is_as_never_stopped(training, uninterrupted, tmp_path, number, status):
    assert training.struck(SHORT, 3, 5, "step", number) == status
    assert json.loads((tmp_path / "logs" / "dqn_CartPole-v0_log.json").read_text())["nb_steps"][-1] < 1000
    assert training.run([*SHORT, "--resume"]) == 0
    assert_same_result(tmp_path, uninterrupted)


@pytest.mark.long
def test_a_terminal_that_closes_lets_a_training_save(tmp_path):
    master, terminal = os.openpty()
    command = [sys.executable, str(ROOT / "train.py"), *folders(tmp_path), "--state-interval", "100", "--seed", "1"]
    command += ["--nb-steps", "1000000", "--no-jit-compile"]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
    os.close(terminal)
    while not list(tmp_path.glob("checkpoints/*.memory-*")):
        assert process.poll() is None
        os.read(master, 1000)
    os.close(master)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGHUP)
    assert process.wait() == 129
    assert (tmp_path / "checkpoints/dqn_CartPole-v0_weights.h5f").exists()


@pytest.mark.long
def test_a_training_in_a_thread_leaves_signals_alone(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    config = Config(nb_steps=50, verbose=0, checkpoint_dir=str(tmp_path), log_dir=str(tmp_path))
    with ThreadPoolExecutor() as pool:
        assert pool.submit(train, config).result().status == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


@pytest.mark.long
def test_longer_after_the_end(training, uninterrupted, tmp_path):
    assert training.run(["650" if argument == "1000" else argument for argument in SHORT]) == 0
    assert training.run([*SHORT, "--resume"]) == 0
    assert_same_result(tmp_path, uninterrupted)


def train_here(capsys, *arguments):
    """Run train.py in this process; return its exit status and what it wrote to stderr."""
    try:
        status = run_command("train", ["--verbose", "0", "--nb-steps", "600", "--state-interval", "100", *arguments])
    except SystemExit as stop:
        status = stop.code
    return status, capsys.readouterr().err


@pytest.fixture
def run(capsys, tmp_path):
    return lambda *arguments: train_here(capsys, *folders(tmp_path), *arguments)


def contents(path):
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.long
def test_what_cannot_be_resumed_is_refused_and_kept(run, tmp_path):
    state = tmp_path / "checkpoints" / "dqn_CartPole-v0_state"
    status, error = run("--resume")
    assert (status, error.count("\n")) == (2, 1)
    assert "nothing to resume" in error
    assert run("--seed", "1") == (0, "")
    before = contents(tmp_path)
    status, error = run("--resume", "--gamma", "0.9", "--batch-size", "8")
    assert (status, error.count("\n")) == (2, 1)
    assert "gamma is 0.9 here but was 0.99 there" in error
    assert "batch_size is 8 here but was 32 there" in error
    assert run("--resume", "--seed", "2")[0] == 2
    assert "fewer steps" in run("--resume", "--nb-steps", "500")[1]
    assert contents(tmp_path) == before
    good = state.read_bytes()
    for damage in (b"", good[:-1], good[: len(good) // 2], b"x" + good[1:], good[:-9] + b"y" + good[-8:]):
        state.write_bytes(damage)
        status, error = run("--resume")
        assert (status, error.count("\n")) == (2, 1)
        assert "damaged" in error
    state.write_bytes(good)
    (memory,) = state.parent.glob("*.memory-*")
    steps = memory.read_bytes()
    for damage in (steps[:-40], b"x" * 60 + steps[60:], b""):
        memory.write_bytes(damage)
        status, error = run("--resume")
        assert (status, error.count("\n")) == (2, 1)
        assert "memory" in error
    memory.write_bytes(steps + b"what a cut write left")
    assert run("--resume") == (0, "")


@pytest.mark.long
def test_a_resume_that_fails_on_its_memory_leaves_every_file_as_it_was(run, tmp_path):
    assert run("--nb-steps", "60", "--seed", "1", "--eval-interval", "0") == (0, "")
    (memory,) = (tmp_path / "checkpoints").glob("*.memory-*")
    memory.write_bytes(memory.read_bytes()[:-40])
    before = contents(tmp_path)
    status, error = run("--resume", "--nb-steps", "90")
    assert (status, "memory" in error) == (2, True)
    assert contents(tmp_path) == before


@pytest.mark.long
def test_resume_alone_takes_every_setting_from_the_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--nb-steps", "900", "--seed", "3", "--batch-size", "64", "--state-interval", "100", "--verbose", "0"]
    killed = environment_with(lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert run_command("train", [*killed, *options, "--log-dir", "elsewhere"]) == 143
    environment_with(lambda: None)
    assert run_command("train", ["--resume", "--log-dir", "elsewhere"]) == 0
    metadata = weights.read(tmp_path / "checkpoints/dqn_Failing-v0_weights.h5f").metadata
    assert [metadata[name] for name in ("nb_steps", "seed", "batch_size")] == [900, 3, 64]
    log = tmp_path / "elsewhere/dqn_Failing-v0_log.json"
    assert 700 < json.loads(log.read_text())["nb_steps"][-1] <= 900
    assert run_command("train", ["--resume", "--nb-steps", "1200", "--log-dir", "elsewhere"]) == 0
    assert 1000 < json.loads(log.read_text())["nb_steps"][-1] <= 1200
    assert not (tmp_path / "logs").exists()
    with pytest.raises(SystemExit):
        run_command("train", ["--resume", "--batch-size", "32"])  # the default, but named
    assert "batch_size is 32 here but was 64 there" in capsys.readouterr().err
    assert run_command("train", ["--env", "CartPole-v1", "--nb-steps", "20", "--verbose", "0"]) == 0
    with pytest.raises(SystemExit) as stop:
        run_command("train", ["--resume"])
    error = capsys.readouterr().err
    assert (stop.value.code, error.count("\n")) == (2, 1)
    assert "checkpoints holds several runs to resume: give --env CartPole-v1 or --env Failing-v0" in error
    assert run_command("train", ["--env", "CartPole-v1", "--resume", "--nb-steps", "30"]) == 0
    assert train(Config(env="CartPole-v1", resume=True, nb_steps=40)).agent.step == 40


def test_a_length_that_is_the_default_counts_if_it_is_given():
    shorter = {"nb_steps": 20_000, "gamma": 0.9}
    assert resumed(Config(resume=True), None, shorter) == Config(nb_steps=20_000, gamma=0.9)
    for options, expected in (([], Config(nb_steps=20_000, gamma=0.9)), (["--nb-steps=50000"], Config(gamma=0.9))):
        parsed = parse_config(["--resume", *options], "train.py")
        assert resumed(parsed.config, parsed.given, shorter) == expected


@pytest.mark.long
def test_without_the_memory_a_resumed_run_says_so(run, tmp_path, capsys):
    assert run("--no-save-memory", "--seed", "1")[0] == 0
    assert not list((tmp_path / "checkpoints").glob("*.memory-*"))
    capsys.readouterr()
    run_command("train", [*folders(tmp_path), "--no-save-memory", "--resume", "--verbose", "1", "--nb-steps", "900"])
    assert "without its replay memory" in capsys.readouterr().out


def unprocessed(observation):
    raise ZeroDivisionError("too dark")


class Raising(rl.core.Processor):
    process_observation = staticmethod(unprocessed)


class Collecting(rl.core.Processor):
    def __init__(self):
        self.seen = []

    def process_observation(self, observation):
        self.seen.append(object())
        return observation


def narrow(state_size, num_actions):
    return model.build_model(state_size - 1, num_actions)


@pytest.mark.long
def test_an_unfinished_run_is_neither_replaced_nor_touched(training, run, said, tmp_path):
    checkpoints = tmp_path / "checkpoints"
    assert training.struck(SHORT, 3) == -signal.SIGKILL
    before = contents(tmp_path)
    for _ in range(2):
        status, error = run()
        assert (status, error.count("\n")) == (2, 1)
        assert str(checkpoints) in said(error, r"(?<=step )\d+") and "--resume" in error and "--overwrite" in error
    assert "overwrite" in said(run("--overwrite", "--resume")[1])
    assert contents(tmp_path) == before
    assert run("--overwrite", "--seed", "9") == (0, "")
    assert weights.read(checkpoints / "dqn_CartPole-v0_weights.h5f").metadata["seed"] == 9
    assert "overwrite = false" in (tmp_path / "logs" / "dqn_CartPole-v0_config.toml").read_text()
    assert run() == (0, "")  # since that one has come to its end


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_is_unfinished_and_a_solved_one_finished(run, number):
    assert run("--stop-at", "1", "--eval-interval", "100", "--nb-steps", "5000") == (0, "")
    assert run(*environment_with(lambda: os.kill(os.getpid(), number)))[0] == 128 + number
    assert "unfinished" in run(*environment_with(lambda: None))[1]
    assert run(*environment_with(lambda: None), "--resume") == (0, "")
    assert run(*environment_with(lambda: None)) == (0, "")


class Killed(BaseException):
    """The process ends here."""


def killed_before(monkeypatch, place, name, run, *arguments):
    """Run train.py until it calls `place.name`, as if it was killed there."""

    def kill(*_, **named):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(place, name, kill)
        patch.setattr("kerasrl.training.run.TrainingRun._rehearse", lambda _: None)  # which would be killed, too
        with pytest.raises(Killed):
            run(*arguments)


@pytest.mark.long
def test_a_solved_run_that_is_killed_before_its_last_weights_is_over(run, tmp_path, monkeypatch, capsys):
    solved = ["--stop-at", "12", "--eval-interval", "100", "--nb-steps", "3000", "--seed", "7"]
    expected = tmp_path / "expected"
    assert run(*solved, *folders(expected)) == (0, "")
    assert result(expected)[1]["nb_steps"][-1] < 2000
    killed_before(monkeypatch, loop.Loop, "_end_training", run, *solved)
    capsys.readouterr()
    command = [*folders(tmp_path), "--state-interval", "100", *solved, "--resume", "--verbose", "1"]
    assert run_command("train", command) == 0
    assert "solved: mean reward of 100 greedy episodes" in capsys.readouterr().out
    assert_same_result(tmp_path, result(expected))
    assert run(*solved, "--resume", "--nb-steps", "3500") == (0, "")  # it is finished: more steps are wanted
    assert result(tmp_path)[1]["nb_steps"][-1] > result(expected)[1]["nb_steps"][-1]


@pytest.mark.long
def test_a_higher_reward_may_be_wanted_of_a_solved_run(run, tmp_path, monkeypatch):
    solved = ["--eval-interval", "100", "--nb-steps", "3000", "--seed", "7"]
    killed_before(monkeypatch, loop.Loop, "_end_training", run, *solved, "--stop-at", "9")
    assert run(*solved, "--resume", "--stop-at", "13") == (0, "")
    scores = [score for score in result(tmp_path)[1]["evaluation_reward"] if score is not None]
    assert scores[-1] >= 13 or result(tmp_path)[1]["nb_steps"][-1] > 2800


@pytest.mark.long
def test_a_finished_run_that_goes_on_is_unfinished(run, tmp_path, monkeypatch):
    assert run("--seed", "1") == (0, "")
    killed_before(monkeypatch, loop.Loop, "_begin_episode", run, "--resume", "--nb-steps", "800")
    assert "unfinished" in run()[1]
    assert run("--resume", "--nb-steps", "800") == (0, "")


@pytest.mark.long
def test_a_run_that_is_killed_after_its_last_step_is_unfinished(run, tmp_path, monkeypatch):
    last_step_ends_an_episode = ["--nb-steps", "20", "--seed", "0"]
    expected = tmp_path / "expected"
    assert run(*last_step_ends_an_episode, *folders(expected)) == (0, "")
    killed_before(monkeypatch, loop.Loop, "_end_training", run, *last_step_ends_an_episode)
    assert "an unfinished run of CartPole-v0, saved at step 20 of 20" in run(*last_step_ends_an_episode)[1]
    assert run("--nb-steps", "20", "--resume") == (0, "")
    assert_same_result(tmp_path, result(expected))
    assert (tmp_path / "logs" / "dqn_CartPole-v0_curve.png").exists()


@pytest.mark.long
def test_a_state_of_an_earlier_version_is_not_replaced_by_accident(run, tmp_path):
    state = tmp_path / "checkpoints" / "dqn_CartPole-v0_state"
    assert run("--seed", "1") == (0, "")
    state.write_bytes(state.read_bytes().replace(b"kerasrl state 2", b"kerasrl state 1"))
    for arguments in ([], ["--resume"]):
        status, error = run(*arguments)
        assert (status, error.count("\n")) == (2, 1)
        assert "was written by an earlier version" in error
    assert run("--overwrite") == (0, "")


@pytest.mark.long
@pytest.mark.parametrize(
    ("mistake", "status"),
    [
        *(("--activation blub", 2), ("--device gpu", 2), (f"--network {__name__}:narrow", 2)),
        *((f"--processor {__name__}:Raising", 1), (f"--processor {__name__}:Collecting", 2), ("--memory-limit 3", 2)),
        *(("--memory-limit 6 --window-length 4", 2), ("--learning-rate 1e10", 1), ("--env CartPole-v7", 2)),
    ],
)
def test_a_start_that_fails_touches_nothing(run, said, tmp_path, mistake, status):
    assert run() == (0, "")
    before = contents(tmp_path)
    for overwrite in ([], ["--overwrite"]):
        actual, error = run(*mistake.split(), *overwrite)
        assert (actual, said(error, r"(?<=, line )\d+|(nan|inf) at step \d").count("\n")) == (status, 1)
        assert contents(tmp_path) == before


@pytest.mark.long
def test_a_new_run_leaves_nothing_of_the_one_that_it_replaces(run, tmp_path):
    together = ["--checkpoint-dir", str(tmp_path / "all"), "--log-dir", str(tmp_path / "all")]
    for where in ([], together):
        assert run(*where, "--record-every", "200", "--eval-interval", "200", "--checkpoint-interval", "100") == (0, "")
        kept = tmp_path / ("all" if where else "logs") / "dqn_CartPole-v0_film_of_mine.gif"
        kept.touch()
        short = ["--nb-steps", "50", "--eval-interval", "0", "--checkpoint-interval", "30", "--no-save-memory"]
        short += ["--seed", "0"]  # an episode that ends within the 50 steps, without which there is no log
        assert run(*where, *short) == (0, "")
        found = {file.name for folder in ("checkpoints", "logs", "all") for file in (tmp_path / folder).glob("dqn*")}
        names = {"config.toml", "curve.png", "film_of_mine.gif", "log.json", "state", "weights.h5f", "weights_30.h5f"}
        assert found == {f"dqn_CartPole-v0_{name}" for name in names}


@pytest.mark.long
def test_second_run_in_a_folder_is_refused(run, tmp_path):
    for folder in ("checkpoints", "logs"):
        with files.exclusive(tmp_path / folder):
            status, error = run()
        assert (status, error.count("\n")) == (2, 1)
        assert "another training" in error
    assert run() == (0, "")


@pytest.mark.long
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_stands_for_a_lock_where_there_are_none(run, tmp_path, monkeypatch, number):
    def no_locks(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with files.exclusive(tmp_path / "checkpoints"):
        status, error = run()
        assert status == 2 and "another training" in error.splitlines()[-1]
    status, error = run()
    assert (status, error.count("\n")) == (0, 1)
    assert re.match(r"no file locks in .*: the file \.lock.* stands for one\n", error)
    assert not list(tmp_path.glob("*/.lock.process"))


class Failing(CartPoleEnv):
    """CartPole until `event` happens in the 400th step."""

    nb_steps = 0
    scale = 1.0

    def __init__(self, event, render_mode=None):
        super().__init__(render_mode)
        self.event = event

    def step(self, action):
        self.nb_steps += 1
        if self.nb_steps == 400:
            self.event()
        observation, reward, *rest = super().step(action)
        return observation, reward * self.scale, *rest


def environment_with(event):
    gym.envs.registration.registry.pop("Failing-v0", None)
    gym.register("Failing-v0", lambda **options: Failing(event, **options), max_episode_steps=200)
    return ["--env", "Failing-v0"]


def fail():
    raise ZeroDivisionError("the pole\nbroke")


@pytest.mark.long
def test_failing_environment_is_named_and_nothing_is_lost(run, said, tmp_path):
    status, error = run(*environment_with(fail))
    assert (status, "(test_resume.py, line " in said(error, r"(?<=line )\d+")) == (1, True)
    log = json.loads((tmp_path / "logs" / "dqn_Failing-v0_log.json").read_text())
    assert log["nb_steps"][-1] < 400 <= log["nb_steps"][-1] + 200
    assert run(*environment_with(lambda: None), "--resume") == (0, "")


@pytest.mark.long
def test_failing_callback_is_named(run, said, monkeypatch):
    class Unlucky(rl.callbacks.Callback):
        def on_step_end(self, step, logs):
            raise KeyError("luck")

    monkeypatch.setattr("kerasrl.training.run.own_callbacks", lambda *_: [Unlucky()])
    status, error = run()
    assert (status, "Unlucky" in said(error, r"(?<=line )\d+")) == (1, True)


@pytest.mark.long
def test_bad_numbers_stop_the_training_and_are_explained(run, tmp_path):
    status, error = run(*environment_with(lambda: setattr(Failing, "scale", 1e30)))
    Failing.scale = 1.0
    assert (status, error.count("\n")) == (1, 1)
    assert re.search(r"the loss became (nan|inf) at step 4\d\d: lower the learning rate or .* is 1e\+30", error)
    log = json.loads((tmp_path / "logs" / "dqn_Failing-v0_log.json").read_text())
    assert log["nb_steps"][-1] <= 400 + 100
    assert (tmp_path / "checkpoints" / "dqn_Failing-v0_state").exists()
    assert not (tmp_path / "checkpoints" / "dqn_Failing-v0_weights.h5f").exists()


@pytest.mark.long
def test_full_disk_leaves_the_last_good_files(run, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill():
        before_it.update(contents(tmp_path / "checkpoints"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, before[1]))

    before_it = {}
    try:
        status, error = run(*environment_with(fill))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (status, error.count("\n")) == (1, 1)
    assert "cannot write" in error
    assert "File too large; free some space" in error
    state = tmp_path / "checkpoints" / "dqn_Failing-v0_state"
    assert state.read_bytes() == before_it[state]
    assert run(*environment_with(lambda: None), "--resume") == (0, "")


@pytest.mark.long
def test_vanished_folder_is_named(run, tmp_path):
    status, error = run(*environment_with(lambda: shutil.rmtree(tmp_path / "checkpoints")))
    assert (status, error.count("\n")) == (1, 1)
    assert "cannot write" in error
    assert "No such file or directory" in error

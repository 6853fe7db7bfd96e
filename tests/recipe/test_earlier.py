"""What a new run replaces is kept, found again and never written over, whatever starts, and whenever it is killed."""

import io
import json
import os
import re
import shutil
import signal
import sys
import types
from pathlib import Path

import pytest

from kerasrl import Config, RunFiles, play, train
from kerasrl.cli.door import run as run_command
from kerasrl.config.files import read_toml
from kerasrl.errors import UserError
from kerasrl.storage import TrainingState, files, weights
from kerasrl.storage import state as state_module
from kerasrl.training.run import TrainingRun

EVERYTHING = ["--tensorboard", "--record-every", "20", "--eval-interval", "20", "--eval-episodes", "1"]
EVERYTHING += ["--checkpoint-interval", "30", "--state-interval", "20", "--hidden-layers", "4"]
REHEARSE = TrainingRun._rehearse
SHORT = ["--nb-steps", "50", "--nb-steps-warmup", "50", "--eval-interval", "0", "--hidden-layers", "4"]  # no update


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(TrainingRun, "_rehearse", lambda _: None)


@pytest.fixture
def run(capsys):
    """Run train.py in this process; return its exit status and the lines that it prints."""

    def run(*arguments):
        try:
            status = run_command("train", arguments)
        except SystemExit as stop:
            status = stop.code
        out, errors = capsys.readouterr()
        return status, (out + errors).splitlines()

    return run


@pytest.fixture(scope="module")
def run_with_everything(tmp_path_factory):
    """A folder with a run that has written every kind of file."""
    folder = tmp_path_factory.mktemp("everything")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_command("train", ["--nb-steps", "60", "--seed", "1", "--verbose", "0", *EVERYTHING]) == 0
    return folder


@pytest.fixture
def first(run_with_everything, tmp_path):
    """The contents of that run's files, which are in the current folder, by the path in it."""
    shutil.copytree(run_with_everything, tmp_path, dirs_exist_ok=True)
    return contents(Path())


def contents(folder):
    found = [file for file in folder.rglob("*") if file.is_file() and file.name != ".lock"]
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


def id_of(folder="logs", env="CartPole-v0"):
    return read_toml(Path(folder, f"dqn_{env}_config.toml"))["run"]["id"]


def moved(path, number=1):
    folder, _, name = path.partition("/")
    return f"{folder}/earlier/{number}/{name}"


@pytest.mark.long
def test_every_file_carries_its_runs_id(first):
    assert len(first) == 13
    assert re.fullmatch("[0-9a-f]{12}", id_of())
    without = [path for path, content in first.items() if id_of().encode() not in content]
    assert without == ["checkpoints/dqn_CartPole-v0_state.memory-1"]  # which is only a part of the state
    assert weights.read("checkpoints/dqn_CartPole-v0_best.h5f").metadata["run"] == id_of()


@pytest.mark.parametrize(
    "settings",
    [[], *(pytest.param(option, marks=pytest.mark.long) for option in (["--seed", "1"], ["--overwrite"]))],
    ids=str,
)
def test_what_a_new_run_replaces_is_kept_as_a_whole(first, run, settings):
    before = id_of()
    status, lines = run(*SHORT, *settings)
    told = lines.index("earlier files are kept in checkpoints/earlier/1 and logs/earlier/1")
    assert status == 0 and lines[told + 1].startswith("step 50 of 50")
    now = contents(Path())
    assert {path: now[moved(path)] for path in first} == first
    assert id_of() != before == id_of("logs/earlier/1")
    assert not list(Path().rglob("*moving*"))


def test_names_that_runs_do_not_give_stay_where_they_are(first, run):
    own = [Path("checkpoints/dqn_CartPole-v0_pretrained.h5f"), Path("logs/dqn_CartPole-v0_film_of_mine.gif")]
    own += [Path("logs/dqn_CartPole-v0_tensorboard/events.out.tfevents.1.of_mine"), Path("checkpoints/dqn_X_best.h5f")]
    for file in own:
        file.touch()
    assert run(*SHORT)[0] == 0
    assert all(file.exists() for file in own)


@pytest.mark.long
def test_the_earlier_run_is_tested_drawn_and_resumed_where_it_is(first, run, capsys):
    assert run(*SHORT, "--seed", "2")[0] == 0
    before = {path: content for path, content in contents(Path()).items() if "earlier" not in path}
    assert run_command("test", ["--weights", "checkpoints/earlier/1/dqn_CartPole-v0_best.h5f", "--episodes", "1"]) == 0
    assert run_command("plot", ["logs/earlier/1/dqn_CartPole-v0_log.json"]) == 0
    to = ["--to", "policy.keras", "--episodes", "1"]
    assert run_command("export", ["--weights", "checkpoints/earlier/1/dqn_CartPole-v0_weights.h5f", *to]) == 0
    capsys.readouterr()
    status, lines = run("--resume", "--checkpoint-dir", "checkpoints/earlier/1", "--nb-steps", "90")
    assert status == 0 and not any("kept" in line for line in lines)
    log = json.loads(Path("logs/earlier/1/dqn_CartPole-v0_log.json").read_text())
    assert log["nb_steps"][-1] > 60 and log["run"] == [id_of("logs/earlier/1")] * len(log["nb_steps"])
    now = contents(Path())
    assert {path: now[path] for path in before} == before


@pytest.mark.long
def test_numbers_count_up_over_both_folders(run):
    for nb_earlier in range(3):
        assert run(*SHORT, "--checkpoint-dir", "second" if nb_earlier == 1 else "checkpoints")[0] == 0
    assert sorted(map(str, Path().glob("*/earlier/*"))) == ["checkpoints/earlier/2", "logs/earlier/1", "logs/earlier/2"]


@pytest.mark.long
def test_a_training_plays_its_own_weights_whatever_came_after():
    good = train(Config(nb_steps=60, verbose=0, seed=1, eval_interval=20, eval_episodes=1))
    rewards = play(good.weights, 2, seed=3)
    assert good.weights == Path("checkpoints/dqn_CartPole-v0_best.h5f")
    bad = train(Config(nb_steps=60, verbose=0, seed=1, eval_interval=20, eval_episodes=1, learning_rate=0.5))
    other = train(Config(nb_steps=60, verbose=0, seed=1, eval_interval=0, checkpoint_dir="second"))
    assert len({good.run, bad.run, other.run}) == 3
    assert good.weights == Path("checkpoints/earlier/1/dqn_CartPole-v0_best.h5f")
    assert (good.files.log.parent, bad.files.log.parent) == (Path("logs/earlier/1"), Path("logs/earlier/2"))
    assert good.play(2, seed=3) == rewards
    assert weights.read(bad.weights).metadata["learning_rate"] == 0.5
    shutil.rmtree("checkpoints/earlier")
    with pytest.raises(UserError, match="have been removed from checkpoints"):
        good.play()
    assert good._repr_png_() is None


@pytest.mark.long
def test_a_large_replay_memory_is_left_out_and_the_rest_is_resumed(first, run):
    os.truncate("checkpoints/dqn_CartPole-v0_state.memory-1", 500_000_001)
    kept = "earlier files are kept in checkpoints/earlier/1 and logs/earlier/1"
    assert f"{kept}, without its replay memory of 0.5 GB" in run(*SHORT)[1]
    assert not list(Path("checkpoints/earlier/1").glob("*memory*"))
    resume = ["--resume", "--checkpoint-dir", "checkpoints/earlier/1", "--nb-steps", "70", "--verbose", "1"]
    status, lines = run(*resume)
    assert status == 0 and any("without its replay memory: the result will differ" in line for line in lines)


def test_a_memory_of_500_mb_is_kept(first, run):
    os.truncate("checkpoints/dqn_CartPole-v0_state.memory-1", 500_000_000)
    assert "earlier files are kept in checkpoints/earlier/1 and logs/earlier/1" in run(*SHORT)[1]
    assert Path("checkpoints/earlier/1/dqn_CartPole-v0_state.memory-1").exists()


# Kills


class Killed(BaseException):
    """The process ends here."""


def killed_at_rename(patch, number):
    """Let renames work up to that number."""
    nb_renames = 0

    def counted(rename):
        def renamed(*names):
            nonlocal nb_renames
            nb_renames += 1
            if nb_renames > number:
                raise Killed
            rename(*names)

        return renamed

    patch.setattr(os, "rename", counted(os.rename))
    patch.setattr(os, "replace", counted(os.replace))


def test_a_move_that_is_killed_at_any_rename_is_completed(first, run_with_everything, tmp_path):
    nb_renames = 0
    while True:
        folder = tmp_path / str(nb_renames)
        shutil.copytree(run_with_everything, folder)
        run_files = RunFiles("CartPole-v0", folder / "checkpoints", folder / "logs")
        with pytest.MonkeyPatch.context() as patch:
            killed_at_rename(patch, nb_renames)
            try:
                run_files.set_aside()
                break
            except Killed:
                pass
        shutil.rmtree(folder / "checkpoints/earlier/9", ignore_errors=True)
        if nb_renames:  # before that, nothing has begun
            assert "earlier/1" in run_files.complete()
            assert contents(folder) == {moved(path): content for path, content in first.items()}
        assert run_files.complete() == ""
        nb_renames += 1
    assert nb_renames == len(first) + 2


@pytest.mark.parametrize("number", [1, pytest.param(5, marks=pytest.mark.long)])
def test_the_next_start_completes_the_move(first, run, number):
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        killed_at_rename(patch, number)
        run(*SHORT)
    status, lines = run(*SHORT)
    assert status == 0
    assert [line for line in lines if "kept" in line] == [
        "earlier files are kept in checkpoints/earlier/1 and logs/earlier/1"
    ]
    now = contents(Path())
    assert {path: now[moved(path)] for path in first} == first


def test_the_next_start_completes_what_is_in_its_folders_and_no_more(first, run):
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        killed_at_rename(patch, len(first))  # in the middle of the logs
        run(*SHORT)
    Path("second").mkdir()
    shutil.copy("checkpoints/earlier/1/dqn_CartPole-v0_best.h5f", "second")
    RunFiles("CartPole-v0", Path("second"), Path("logs")).complete()
    assert Path("second/dqn_CartPole-v0_best.h5f").exists()
    assert not list(Path("logs").glob("dqn*/*")) and not list(Path("logs").glob("dqn*.*"))


@pytest.mark.parametrize("content", [b"", b"[", b'{"number": "../..", "folders": []}', b'{"number": -1}', b"9" * 70000])
def test_a_journal_that_nobody_wrote_moves_nothing(first, content):
    run_files = RunFiles("CartPole-v0", Path("checkpoints"), Path("logs"))
    Path("checkpoints/dqn_CartPole-v0_moving.json").write_bytes(content)
    assert run_files.complete() == ""
    assert run_files.set_aside() == "earlier files are kept in checkpoints/earlier/1 and logs/earlier/1"


# Several runs, several folders


def kill(*_):
    raise Killed


def unfinished(*arguments):
    """Begin a run and leave it."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr("kerasrl.agents.loop.Loop._end_training", kill)
        run_command("train", ["--nb-steps", "60", "--verbose", "0", *EVERYTHING, *arguments])


def test_an_unfinished_run_refuses_a_new_one_and_is_moved_if_asked(run):
    unfinished("--seed", "1")
    before = contents(Path())
    status, lines = run(*SHORT)
    assert status == 2 and "holds an unfinished run" in lines[-1] and contents(Path()) == before
    assert run(*SHORT, "--overwrite")[0] == 0
    now = contents(Path())
    assert {path: now[moved(path)] for path in before} == before
    assert run("--resume", "--checkpoint-dir", "checkpoints/earlier/1")[0] == 0


@pytest.mark.long
def test_another_checkpoint_dir_moves_the_logs_that_it_shares_and_a_resume_moves_them_back(run):
    unfinished("--seed", "1")
    first, logs = id_of(), contents(Path("logs"))
    checkpoints = contents(Path("checkpoints"))
    status, lines = run(*SHORT, "--checkpoint-dir", "second")
    assert status == 0 and "earlier files are kept in logs/earlier/1" in lines
    second = id_of()
    assert contents(Path("logs/earlier/1")) == logs and contents(Path("checkpoints")) == checkpoints
    of_second = {path: content for path, content in contents(Path("logs")).items() if "earlier" not in path}
    status, lines = run("--resume", "--verbose", "1")
    assert status == 0 and "earlier files are kept in logs/earlier/2" in lines
    assert contents(Path("logs/earlier/2")) == of_second
    assert (id_of(), id_of("logs/earlier/1"), id_of("logs/earlier/2")) == (first, first, second)
    log = json.loads(Path("logs/dqn_CartPole-v0_log.json").read_text())
    assert log["nb_steps"][0] < 40 and log["run"] == [first] * len(log["episode"])


@pytest.mark.long
def test_a_state_does_not_choose_where_to_write(run):
    """A colleague's run is resumed beside one's own."""
    theirs = ["--checkpoint-dir", "colleague/checkpoints", "--log-dir", "colleague/logs"]
    unfinished("--seed", "1", *theirs)
    assert run(*SHORT, "--seed", "2")[0] == 0
    own, logs = id_of(), contents(Path("logs"))
    before = contents(Path("colleague/logs"))
    status, lines = run("--resume", "--checkpoint-dir", "colleague/checkpoints")
    assert status == 0
    assert lines[0:1] + [line for line in lines if "note" in line] == [
        "options: resume True, checkpoint_dir colleague/checkpoints",
        "note: the log goes on in logs; --log-dir colleague/logs is where it was before",
    ]
    assert contents(Path("logs/earlier/1")) == logs and id_of("logs/earlier/1") == own
    assert contents(Path("colleague/logs")) == before and id_of() != own


@pytest.mark.long
def test_a_state_without_an_id_gets_one(first, run):
    state = TrainingState("checkpoints/dqn_CartPole-v0_state")
    for strange in ("", "../../x", 3):
        tree = state.load()
        tree["metadata"]["run"] = strange
        files.write_whole(state.path, files.seal(state_module._KIND, state_module._encoded(tree)[0]))
        assert run("--resume", "--nb-steps", "70")[0] == 0
        assert re.fullmatch("[0-9a-f]{12}", state.load()["metadata"]["run"])


# Deleting


def clear(capsys, *words):
    try:
        status = run_command("clear", words)
    except SystemExit as stop:
        status = stop.code
    out, errors = capsys.readouterr()
    return status, out + errors


@pytest.mark.long
def test_only_clear_deletes_and_asks_first(first, run, said, capsys, monkeypatch):
    status, out = clear(capsys)
    assert (status, said(out).count("\n")) == (0, 1)
    assert run(*SHORT)[0] == 0
    newest = {path: content for path, content in contents(Path()).items() if "earlier" not in path}
    before = contents(Path())
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    status, out = clear(capsys)
    assert (status, said(out, r"[\d.]+ MB").count("\n")) == (2, 1) and contents(Path()) == before
    for answer in ("", "n", "yess"):
        monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(isatty=lambda: True))
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: answer)
        assert clear(capsys) == (0, "nothing is deleted\n") and contents(Path()) == before
    monkeypatch.setattr("builtins.input", lambda question: said(question, r"[\d.]+ MB") and "y")
    Path("logs/earlier/1/of_mine").touch()
    assert clear(capsys)[0] == 0
    assert contents(Path()) == {**newest, "logs/earlier/1/of_mine": b""}
    assert sorted(map(str, Path().glob("*/earlier*"))) == ["logs/earlier"]


@pytest.mark.long
def test_clear_leaves_a_run_alone_that_goes_on(first, run, capsys):
    assert run(*SHORT)[0] == 0
    with files.exclusive("checkpoints/earlier/1"):
        status, out = clear(capsys, "--yes")
        assert status == 2 and "another training" in out
    assert Path("checkpoints/earlier/1/dqn_CartPole-v0_best.h5f").exists()
    assert clear(capsys, "--yes")[0] == 0
    assert not list(Path().glob("*/earlier"))


# Locks


def test_a_run_whose_folders_were_removed_does_not_write_into_those_of_the_next(run, said, monkeypatch):
    from gym.envs.classic_control.cartpole import CartPoleEnv

    step, nb_steps = CartPoleEnv.step, 0

    def removed(*arguments):
        nonlocal nb_steps
        nb_steps += 1
        if nb_steps == 30:
            for folder in ("checkpoints", "logs"):
                shutil.rmtree(folder)
                Path(folder).mkdir()
                Path(folder, ".lock").touch()  # as another training does
        return step(*arguments)

    monkeypatch.setattr(CartPoleEnv, "step", removed)
    status, lines = run(*SHORT, "--state-interval", "20", "--verbose", "0")
    assert status == 1 and said(lines[-1]).startswith("error: cannot write checkpoints/dqn_CartPole-v0_state")
    assert contents(Path()) == {}


# Links


@pytest.mark.long
@pytest.mark.parametrize("link", [os.symlink, pytest.param(os.link, marks=pytest.mark.long)], ids=["soft", "hard"])
@pytest.mark.parametrize("resume", [False, pytest.param(True, marks=pytest.mark.long)], ids=["new", "resumed"])
def test_nothing_is_written_through_a_link(first, run, tmp_path, link, resume):
    victims = tmp_path / "victims"
    for path in first:
        victim = victims / path
        victim.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, victim)
        link(victim, path)
    beside = [Path(f"checkpoints/.dqn_CartPole-v0_{name}.{os.getpid()}.tmp") for name in ("state", "best.h5f")]
    beside += [Path(f"logs/.dqn_CartPole-v0_{name}.{os.getpid()}.tmp") for name in ("log.json", "film_40.gif")]
    for file in beside:
        link(victims / "checkpoints/dqn_CartPole-v0_best.h5f", file)
    status, lines = run(*EVERYTHING, "--nb-steps", "140", *(["--resume"] if resume else []))
    if resume and link is os.symlink:  # steps are not read through links either
        assert status == 2 and "replay memory to resume with, is missing" in lines[-1]
    else:
        assert status == 0
    assert contents(victims) == first


@pytest.mark.long
@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["soft", "hard"])
def test_a_memory_file_that_the_state_does_not_know_is_not_written_to(run, tmp_path, link, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        raising(patch, kill, 5)
        run(*SHORT)
    victim, memory = tmp_path / "victim", Path("checkpoints/dqn_CartPole-v0_state.memory-1")
    victim.write_bytes(b"precious")
    assert not memory.exists()
    link(victim, memory)
    assert run("--resume")[0] == 0
    assert victim.read_bytes() == b"precious"


@pytest.mark.long
@pytest.mark.parametrize("name", ["logs/dqn_CartPole-v0_tensorboard", "logs/earlier", "checkpoints/earlier/7"])
@pytest.mark.parametrize("resume", [[], ["--resume", "--nb-steps", "70"]], ids=["new", "resumed"])
def test_a_folder_that_is_a_link_is_not_written_into(first, run, tmp_path, name, resume):
    if "tensorboard" in name:
        shutil.rmtree(name)
    Path(name).parent.mkdir(exist_ok=True)
    victims = tmp_path / "victims"
    victims.mkdir()
    Path(name).symlink_to(victims)
    before = {path: content for path, content in contents(Path()).items() if "victims" not in path}
    status, lines = run(*(resume or SHORT), "--tensorboard")
    assert list(victims.iterdir()) == []
    if name == "checkpoints/earlier/7" and not resume:
        assert status == 0 and Path("checkpoints/earlier/8").is_dir()
    elif "earlier" in name and not resume:
        assert status == 2 and "is a link" in lines[-1]
        assert {path: contents(Path())[path] for path in before} == before


# Interruptions that are none


def raising(monkeypatch, error, at):
    from gym.envs.classic_control.cartpole import CartPoleEnv

    step, nb_steps = CartPoleEnv.step, 0

    def raised(*arguments):
        nonlocal nb_steps
        nb_steps += 1
        if nb_steps == at:
            error()
        return step(*arguments)

    monkeypatch.setattr(CartPoleEnv, "step", raised)


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.long
@pytest.mark.parametrize("at", [1, 30, 55], ids=["first", "training", "last evaluation"])
def test_an_environments_keyboard_interrupt_is_a_failure(run, said, monkeypatch, at):
    raising(monkeypatch, interrupt, at)
    status, lines = run(
        "--nb-steps", "50", "--hidden-layers", "4", "--seed", "1", "--eval-episodes", "1", "--verbose", "0"
    )
    assert status == 1 and "environment failed" in said(lines[-1], r"(?<=line )\d+")
    assert run("--resume")[0] == 0


@pytest.mark.long
def test_an_environments_keyboard_interrupt_is_a_failure_in_the_trial_and_in_a_test(first, run, monkeypatch, capsys):
    monkeypatch.setattr(TrainingRun, "_rehearse", REHEARSE)
    raising(monkeypatch, interrupt, 3)
    status, lines = run(*SHORT, "--verbose", "0")
    assert status == 1 and "environment failed" in lines[-1]
    raising(monkeypatch, interrupt, 3)
    with pytest.raises(SystemExit) as stop:
        run_command("test", ["--weights", "checkpoints/dqn_CartPole-v0_best.h5f"])
    assert stop.value.code == 1 and "environment failed" in capsys.readouterr().err


@pytest.mark.long
def test_ctrl_c_is_none(first, run, monkeypatch, capsys):
    raising(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGINT), 30)
    assert run(*SHORT)[0] == 130
    raising(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGINT), 3)
    with pytest.raises(SystemExit) as stop:
        run_command("test", ["--weights", "checkpoints/earlier/1/dqn_CartPole-v0_best.h5f"])
    assert stop.value.code == 130

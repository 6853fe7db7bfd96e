"""train.py and test.py as a person runs them."""

import dataclasses
import errno
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import keras
import numpy as np
import pygame
import pytest
import rl.callbacks
import rl.policy

import model
from callbacks import build_callbacks
from kerasrl import Config
from kerasrl.cli.door import run as run_command
from kerasrl.cli.options import options_of, parse
from kerasrl.config.commands import ExportConfig, NewConfig, PlayConfig, PlotConfig, TuneConfig
from kerasrl.config.resuming import from_metadata
from kerasrl.phrases import command_to_type, to_paste
from kerasrl.storage import weights

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parents[1] / "data"
RUN = ["--nb-steps", "600", "--eval-interval", "250", "--checkpoint-interval", "200"]
RUN += ["--log-interval", "5", "--seed", "1", "--hidden-layers", "8"]
EPISODE = r"Episode \d+: reward: \d+\.000, steps: \d+"
SUMMARY = r"mean \d+\.\d+, standard deviation \d+\.\d+, minimum \d+\.\d+, episodes \d+"


def start(script, *arguments, folder, **environment):
    """Start a script in `folder`, without what the tests' own imports left in the environment."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **environment,
        "PYTHONPATH": os.pathsep.join([*environment.get("PYTHONPATH", "").split(), str(ROOT)]),
    }
    command = [sys.executable, *([ROOT / script] if str(script).endswith(".py") else script.split()), *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=kept | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_line(line, folder, **environment):
    """Start a line as a person types it in a shell."""
    return start("-c", f"import os; os.execlp('sh', 'sh', '-c', {line!r})", folder=folder, **environment)


def run(script, *arguments, folder, **environment):
    """Return status, stdout and stderr."""
    process = start(script, *arguments, folder=folder, **environment)
    out, errors = process.communicate()
    return process.returncode, out, errors


@pytest.fixture(scope="module")
def trained(python, tmp_path_factory):
    """Folder, stdout and stderr of the same training in two processes; `python` is another for the second."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    process = start("train.py", *RUN, folder=first)
    forked = python.run(second, str(ROOT / "train.py"), *RUN, wanted=["xla"], PATH="/usr/bin:/bin")
    started = process.communicate()
    assert (process.returncode, forked.status) == (0, 0)
    return [(first, *started), (second, *forked[1:])]


@pytest.fixture
def short(tmp_path, unrehearsed):
    """The options of a training, too short for an update and not rehearsed, into a folder of its own."""
    folders = ["--checkpoint-dir", str(tmp_path / "weights"), "--log-dir", str(tmp_path / "logs")]
    return ["--nb-steps", "10", "--hidden-layers", "4", "--checkpoint-interval", "5", *folders]


# Training


def test_training_leaves_weights_and_a_log_and_nothing_else(trained):
    folder = trained[0][0]
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert sorted(path.as_posix() for path in files if path.name != ".lock") == [
        "checkpoints/dqn_CartPole-v0_best.h5f",
        "checkpoints/dqn_CartPole-v0_state",
        "checkpoints/dqn_CartPole-v0_state.memory-1",
        "checkpoints/dqn_CartPole-v0_weights.h5f",
        "checkpoints/dqn_CartPole-v0_weights_200.h5f",
        "checkpoints/dqn_CartPole-v0_weights_400.h5f",
        "checkpoints/dqn_CartPole-v0_weights_600.h5f",
        "logs/dqn_CartPole-v0_config.toml",
        "logs/dqn_CartPole-v0_curve.png",
        "logs/dqn_CartPole-v0_log.json",
    ]


def test_checkpoints_are_of_their_steps(trained):
    folder = trained[0][0] / "checkpoints"
    kernels = [
        next(iter(weights.read(folder / f"dqn_CartPole-v0_weights{step}.h5f").layers[0].values()))
        for step in ("_200", "_400", "_600", "")
    ]
    assert (kernels[0] != kernels[1]).any()
    assert (kernels[1] != kernels[2]).any()
    assert (kernels[2] == kernels[3]).all()


def test_the_log_is_keras_rls(trained):
    log = json.loads((trained[0][0] / "logs/dqn_CartPole-v0_log.json").read_text())
    old = json.loads((DATA / "keras_rl_0.4.2_log.json").read_text())
    assert log.pop("evaluation_reward")[0] is None
    assert len(set(log.pop("run"))) == 1  # the id
    assert list(log) == [{"mean_absolute_error": "mae"}.get(key, key) for key in old]
    assert log["episode"] == list(range(len(log["episode"])))
    assert log["nb_steps"] == np.cumsum(log["nb_episode_steps"]).tolist()
    assert log["episode_reward"] == log["nb_episode_steps"]
    assert log["mean_eps"][-1] == pytest.approx(1 - 0.9 * 600 / 10_000, abs=0.01)
    assert 0 < log["loss"][-1] < 10


def test_the_same_seed_gives_the_same_files_in_another_process(trained):
    first, second = trained[0][0], trained[1][0]
    for path in first.glob("checkpoints/*.h5f"):  # the state keeps the log, with its durations
        assert path.read_bytes() == (second / "checkpoints" / path.name).read_bytes()


def test_training_says_seed_and_settings_first_and_what_to_type_last(trained):
    _, out, errors = trained[0]
    lines = out.splitlines()
    assert lines[:2] == [
        "options: hidden_layers 8, eval_interval 250, nb_steps 600, seed 1, checkpoint_interval 200, log_interval 5",
        "seed 1",
    ]
    assert lines[2].startswith("device CPU, 1 thread")
    assert re.fullmatch(r"step 600 of 600, episodes \d+, .*, epsilon 0.95, loss .* steps/s, took 0:00:\d\d", lines[3])
    score = r"mean reward \d+\.\d+ when evaluated at step (\d+)"
    assert re.fullmatch(f"best weights checkpoints/dqn_CartPole-v0_best.h5f: {score}", lines[4])
    assert re.fullmatch(f"last weights checkpoints/dqn_CartPole-v0_weights.h5f: {score}", lines[5])[1] == "600"
    assert lines[6] == "curve logs/dqn_CartPole-v0_curve.png"
    script = os.path.relpath(ROOT / "test.py", trained[0][0])
    assert lines[-1] == f"python {script} --weights checkpoints/dqn_CartPole-v0_best.h5f"
    assert len(lines) == 9
    assert errors == ""


@pytest.mark.long
def test_the_last_line_works_as_it_stands_and_with_visualize(trained):
    # A real X server where there is one: it once crashed together with TensorFlow.
    screen = "xvfb-run -a" if shutil.which("xvfb-run") else "SDL_VIDEODRIVER=dummy"
    (first, out, _), (second, other, _) = trained
    processes = [
        start_line(out.splitlines()[-1], folder=first),
        start_line(f"{screen} {other.splitlines()[-1]} --visualize --episodes 1", folder=second, PATH="/usr/bin:/bin"),
    ]
    for process, episodes in zip(processes, (5, 1), strict=True):
        out, errors = process.communicate()
        assert (process.returncode, errors) == (0, "")
        assert re.fullmatch(f"Testing for {episodes} episodes ...\n({EPISODE}\n){{{episodes}}}{SUMMARY}\n", out)


def test_the_last_line_names_an_environment_that_is_not_activated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    assert command_to_type("test").startswith(".venv/bin/python ")


WORDS = [
    "python",
    "-m",
    "kerasrl",
    "--env",
    "own:Env-v0",
    "runs (1)/best.h5f",
    "a&b",
    "x,y",
    "é",
    "it's",
    "",
    "~",
    "{a}",
]


@pytest.mark.parametrize("word", [*WORDS, "$HOME", "a`b", 'a"b', "a\\b", "a!"])
def test_a_line_to_paste_gives_a_shell_these_words(word):
    done = subprocess.run(["sh", "-c", f"printf %s {to_paste(word)}"], capture_output=True, text=True, check=True)
    assert done.stdout == word


@pytest.mark.parametrize("is_windows", [False, True])
def test_a_line_to_paste_has_the_same_words_in_windows_shells(is_windows, monkeypatch):
    monkeypatch.setattr("kerasrl.phrases._ON_WINDOWS", is_windows)
    words = [*WORDS, *([r"C:\runs\a.h5f", r"C:\my runs\a.h5f"] if is_windows else [])]
    found = re.findall(r"""(?<!\S)(?:"([^"]*)"|([^\s"'$`&,;(){}<>|^@#~*?%]+))(?!\S)""", to_paste(*words))
    assert [quoted or plain for quoted, plain in found] == words
    assert to_paste(r"C:\runs\a.h5f").startswith("C:") == is_windows


def test_every_line_to_paste_is_put_together_by_one_function():
    sources = {path.name: path.read_text() for path in (ROOT / "kerasrl").rglob("*.py")}
    assert [name for name, text in sources.items() if "shlex" in text] == ["phrases.py"]


@pytest.mark.long
def test_paths_are_quoted_where_they_are_to_be_pasted(tmp_path, monkeypatch, capsys, unrehearsed):
    monkeypatch.chdir(tmp_path)
    few = ["--nb-steps", "20", "--hidden-layers", "4", "--eval-interval", "0", "--verbose", "2"]
    assert run_command("train", ["--checkpoint-dir", "my runs", "--log-dir", "my runs", *few]) == 0
    assert capsys.readouterr().out.endswith(' --weights "my runs/dqn_CartPole-v0_weights.h5f"\n')
    assert run_command("new", ["my agent"]) == 0
    assert capsys.readouterr().out.endswith(' "my agent/train.py"\n')


@pytest.mark.long
def test_keras_rls_episode_lines(short, capsys):
    assert run_command("train", [*short, "--nb-steps", "300", "--verbose", "2", "--seed", "1"]) == 0
    line = re.compile(
        r" *(\d+)/300: episode: (\d+), duration: \d\.\d{3}s, episode steps: +\d+, steps per second: +\d+, "
        r"episode reward: +\d+\.000, mean reward: +1\.000 \[ ?1\.000, +1\.000\], "
        r"mean action: 0\.\d{3} \[0\.000, 1\.000\],  "
        r"loss: \d\.\d{6}, mae: \d\.\d{6}, mean_q: -?\d\.\d{6}, mean_eps: 0\.9\d{5}"
    )
    lines = [match for match in map(line.fullmatch, capsys.readouterr().out.splitlines()) if match]
    assert [int(match[2]) for match in lines] == list(range(1, len(lines) + 1))
    assert len(lines) > 5


def test_verbose_0_prints_nothing(short, capfd):
    assert run_command("train", [*short, "--verbose", "0"]) == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.long
def test_a_seed_is_drawn_and_printed_and_kept(short, tmp_path, capsys):
    path = tmp_path / "weights/dqn_CartPole-v0_weights.h5f"
    seeds, contents = [], []
    for _ in range(2):
        run_command("train", short)
        seeds.append(int(re.search(r"^seed (\d+)$", capsys.readouterr().out, re.MULTILINE)[1]))
        assert weights.read(path).metadata["seed"] == seeds[-1]
        contents.append(next(iter(weights.read(path).layers[0].values())).tolist())
    assert seeds[0] != seeds[1]
    assert contents[0] != contents[1]


@pytest.mark.long
def test_the_weights_carry_every_setting(short, tmp_path):
    run_command("train", [*short, "--hidden-layers", "8", "--window-length", "2", "--seed", "3"])
    metadata = weights.read(tmp_path / "weights/dqn_CartPole-v0_weights.h5f").metadata
    settings = parse(Config, [*short, "--hidden-layers", "8", "--window-length", "2", "--seed", "3"], "train.py")
    del metadata["run"]  # its id
    assert metadata == json.loads(json.dumps(dataclasses.asdict(settings)))
    assert from_metadata(metadata) == settings


def test_weights_need_no_options(short, tmp_path, capsys):
    settings = ["--env", "Acrobot-v1", "--hidden-layers", "8", "--window-length", "2", "--layer-normalization"]
    run_command("train", [*short, *settings])
    capsys.readouterr()
    assert (
        run_command("test", ["--weights", str(tmp_path / "weights/dqn_Acrobot-v1_weights.h5f"), "--episodes", "1"]) == 0
    )
    assert "Episode 1: reward: -" in capsys.readouterr().out


def test_braces_in_a_folders_name_are_no_placeholders(short, tmp_path):
    folder = tmp_path / "{step} and {x}"
    assert run_command("train", [*short, "--checkpoint-dir", str(folder)]) == 0
    names = [f"dqn_CartPole-v0_{what}.h5f" for what in ("best", "weights", "weights_10", "weights_5")]
    assert sorted(path.name for path in folder.glob("*.h5f")) == names


@pytest.mark.long
def test_visualize_shows_each_step_of_the_training(short, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    frames, flip = [], pygame.display.flip
    monkeypatch.setattr(pygame.display, "flip", lambda: (frames.append(0), flip()))
    assert run_command("train", [*short, "--visualize"]) == 0
    assert len(frames) > 10


@pytest.mark.long
def test_ctrl_c_saves_the_weights(tmp_path):
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # what the child inherits
    try:
        options = ["--nb-steps", "1000000", "--checkpoint-interval", "100", "--no-jit-compile"]
        process = start("train.py", *options, folder=tmp_path)
    finally:
        signal.signal(signal.SIGINT, handler)
    while not (tmp_path / "checkpoints/dqn_CartPole-v0_weights_100.h5f").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate()
    assert process.returncode == 130
    said = r"stopped at step (\d+) of 1000000; the same command with --resume continues from step \d+\n"
    assert int(re.fullmatch(said, errors)[1]) >= 100
    assert out.splitlines()[-1].endswith("test.py --weights checkpoints/dqn_CartPole-v0_weights.h5f")
    assert run_command("test", ["--weights", str(tmp_path / "checkpoints/dqn_CartPole-v0_weights.h5f")]) == 0


def test_a_failure_during_training_is_one_line_and_status_1(short, said, tmp_path, capsys):
    (tmp_path / "weights/dqn_CartPole-v0_weights_5.h5f").mkdir(parents=True)
    with pytest.raises(SystemExit) as stop:
        run_command("train", short)
    assert stop.value.code == 1
    assert "dqn_CartPole-v0_weights_5.h5f" in (line := said(capsys.readouterr().err)) and line.count("\n") == 1


@pytest.fixture
def ctrl_c_arrives():
    """Let started scripts have Python's own handler, also where the tests run in the background."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.parametrize("script", ["train.py", "test.py", "-m kerasrl plot", "-m kerasrl export"])
def test_ctrl_c_while_a_script_is_imported_is_one_line(script, tmp_path, ctrl_c_arrives):
    # In the place of a library that each imports at its top.
    (tmp_path / "msgspec.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    status, out, errors = run(script, "--help", folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert (status, out, errors) == (130, "", "stopped by Ctrl-C\n")


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_filming_and_leaves_nothing(tmp_path, number):
    arguments = ["--weights", DATA / "keras_rl_0.4.2_hdf5.h5f", "--record", "film.gif", "--episodes", "1000"]
    process = start("test.py", *arguments, folder=tmp_path)
    while not any(file.stat().st_size > 10_000 for file in tmp_path.iterdir()):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (128 + number, "")
    assert not list(tmp_path.glob(".*"))


# Playing


def play(capsys, *arguments):
    """Return the lines that test.py prints."""
    assert run_command("test", [str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_summary_is_of_the_episodes(trained, capsys):
    path = trained[0][0] / "checkpoints/dqn_CartPole-v0_weights_400.h5f"
    lines = play(capsys, "--weights", path, "--episodes", 7)
    rewards = [float(re.fullmatch(r"Episode \d: reward: (.*), steps: \d+", line)[1]) for line in lines[1:-1]]
    mean, deviation, minimum = np.mean(rewards), np.std(rewards), np.min(rewards)
    assert lines[-1] == f"mean {mean:.1f}, standard deviation {deviation:.1f}, minimum {minimum:.1f}, episodes 7"
    assert len(rewards) == 7


@pytest.mark.long
def test_a_seed_repeats_the_episodes(capsys):
    weights_file = DATA / "keras_rl_0.4.2_hdf5.h5f"
    first, again, other = (play(capsys, "--weights", weights_file, "--seed", seed) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.long
def test_another_environment_of_the_same_shape(capsys):
    weights_file = DATA / "keras_rl2_tf24_checkpoint.h5f"
    lines = play(capsys, "--weights", weights_file, "--env", "CartPole-v1", "--seed", 0, "--episodes", 2)
    assert float(re.match(r"mean (.*?),", lines[-1])[1]) > 200


def test_keras_rl_weights_play(said, capsys):
    lines = play(capsys, "--weights", DATA / "keras_rl_0.4.2_hdf5.h5f", "--seed", 0, "--episodes", 20)
    assert "CartPole-v0" in said(lines[0])
    assert float(re.match(r"mean (.*?),", lines[-1])[1]) > 80  # 98 over 100 episodes, computed with NumPy alone


@pytest.mark.long
def test_keras_rl2_weights_play_without_a_banner(said, tmp_path):
    status, out, errors = run("test.py", "--weights", DATA / "keras_rl2_tf24_checkpoint.h5f", folder=tmp_path)
    assert (status, errors) == (0, "")
    assert "CartPole-v0" in said(out.splitlines()[0])
    assert out.splitlines()[-1] == "mean 200.0, standard deviation 0.0, minimum 200.0, episodes 5"


# Mistakes


@pytest.fixture(scope="module")
def mistakes(tmp_path_factory):
    """A folder of files that are no weights."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "folder").mkdir()
    (folder / "empty.h5f").touch()
    (folder / "textual.py").write_text(
        "import gym, gymnasium\n"
        "class Textual(gym.Env):\n"
        "    observation_space, action_space = gymnasium.spaces.Text(5), gym.spaces.Discrete(2)\n"
        "gym.register('Textual-v0', Textual)\n"
    )
    (folder / "text.h5f").write_text("weights\n")
    (folder / "cut.h5f").write_bytes((DATA / "keras_rl_0.4.2_hdf5.h5f").read_bytes()[:9000])
    with h5py.File(folder / "other.h5f", "w") as file:
        file["table"] = [1, 2]
    return folder


MISTAKES = [
    *("train.py --nb-steps 0", "train.py --nb-steps -1", "train.py --nb-steps abc", "train.py --nb-steps 1.23e1"),
    *("train.py --gamma 0,9", "train.py --gamma 1.5", "train.py --seed x", "train.py --seed -1"),
    *("train.py --verbose 3", "train.py --hidden-layers a", "train.py --hidden-layers 64 3.5"),
    *("train.py --hidden-layers 64 -5", "train.py --stop-at high", "train.py --stop-at -inf", "train.py --gamma="),
    *("train.py --env=", "train.py --device=tpu", "train.py --env", "train.py --env --seed 3"),
    *("train.py --log-dir -x", "train.py --visualize=true", "train.py --no-visualise"),
    *("train.py --nb-step 3", "train.py --batch_sice=3 -x", "train.py -é 3", "train.py --nb-stesp 5"),
    *("train.py CartPole-v0", "train.py --env CartPole-v7", "train.py --env Pendulum-v1"),
    *(
        "train.py --env textual:Textual-v0",
        "train.py --checkpoint-dir text.h5f",
        "train.py --checkpoint-dir text.h5f/x",
    ),
    *("train.py --log-dir text.h5f", "train.py --log-dir /proc"),
    *("test.py", "test.py --weight x.h5f", "test.py --weights nothing.h5f", "test.py --weights folder"),
    *("test.py --weights empty.h5f", "test.py --weights text.h5f", "test.py --weights cut.h5f"),
    *("test.py --weights other.h5f", "test.py --weights text.h5f --episodes 0"),
]


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_line_and_status_2(python, mistakes, said, command):
    script, *arguments = command.split()
    status, out, errors = python.run(mistakes, str(ROOT / script), *arguments)
    line = said(errors, r"(?<=/proc cannot be written to: )[^;]*|(?<=incomplete \().*(?=\);)").replace("_", "-")
    assert any(re.sub("^--|[=/].*", "", word).replace("_", "-") in line for word in (*arguments, "--weights", "space"))
    assert (status, errors.count("\n"), "step " in out) == (2, 1, False)


@pytest.mark.parametrize("command", ["train --resume --checkpoint-dir", "test --weights", "plot"])
def test_a_folder_that_only_somebody_else_may_enter_is_told_on_one_line(command, said, capsys, monkeypatch):
    stat = Path.stat

    def stat_as_another_user(path, **options):
        if path.parts[0] == "theirs" and len(path.parts) > 1:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", stat_as_another_user)
    name, *words = command.split()
    with pytest.raises(SystemExit) as stop:
        run_command(name, [*words, "theirs/x"])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be read" in said(line)


@pytest.fixture
def as_somebody_else(tmp_path, monkeypatch):
    """In a folder, as a user who may not enter `closed` or `open/earlier`, and may not write to `readonly`."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(DATA / "keras_rl_0.4.2_log.json", "log.json")
    modes = {"closed": 0, "open/earlier": 0, "open": 0o777, "readonly": 0o555, ".": 0o755}
    for name in modes:
        Path(name).mkdir(parents=True, exist_ok=True)
    for name, mode in modes.items():
        Path(name).chmod(mode)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)
    for name in reversed(modes):
        Path(name).chmod(0o755)


THEIRS = [
    *(f"export --weights w.h5f --to {to}" for to in ("readonly/p.onnx", "readonly/folder", "closed/p.onnx")),
    *("plot log.json --out readonly/c.png", "plot log.json --out closed/x/c.png", "plot closed", "new closed/x"),
    *("new readonly/x", "test --weights w.h5f --record closed/f.gif", "test --weights w.h5f --record readonly/f.gif"),
    *("clear --checkpoint-dir closed", "clear --log-dir open", "clear --checkpoint-dir closed/x"),
]


@pytest.mark.parametrize("command", THEIRS)
def test_what_only_somebody_else_may_enter_or_write_to_is_told_on_one_line(as_somebody_else, command, said, capsys):
    name, *words = command.split()
    with pytest.raises(SystemExit) as stop:
        run_command(name, words)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Permission denied" in said(line)


@pytest.mark.parametrize("name", ["keras_rl_0.4.2_hdf5.h5f", "keras_rl2_tf24_checkpoint.h5f"])
def test_weights_of_another_environment(name, said, capsys):
    with pytest.raises(SystemExit) as stop:
        run_command("test", ["--weights", str(DATA / name), "--env", "Acrobot-v1"])
    assert stop.value.code == 2
    assert str(DATA / name) in said(capsys.readouterr().err)


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments", [["train.py"], ["test.py", "--weights", DATA / "keras_rl_0.4.2_hdf5.h5f"]], ids=lambda a: a[0]
)
def test_no_screen_is_found_before_tensorflow_is_imported(arguments, said, tmp_path):
    status, out, errors = run(*arguments, "--visualize", folder=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    imported = [line for line in errors.splitlines() if line.startswith("import time:")]
    assert len(imported) > 100
    assert not any(re.search(r"\| +(tensorflow|keras)$", line) for line in imported)
    (line,) = [line for line in errors.splitlines() if line not in imported]
    assert (status, "--visualize" in said(line)) == (2, True)
    assert "step " not in out
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_output_that_nobody_reads_is_no_error(tmp_path):
    for script, argument in (("train.py", "--help"), ("-m kerasrl new", "own")):
        with start(script, argument, folder=tmp_path) as process:
            process.stdout.close()
            errors = process.stderr.read()
        assert errors == ""
        assert process.returncode in (0, 1)


# Help and settings


@pytest.mark.parametrize("script", ["train.py", "test.py"])
def test_help_shows_all_options(script, tmp_path):
    status, out, errors = run(script, "--help", folder=tmp_path)
    assert (status, errors) == (0, "")
    settings = Config if script == "train.py" else PlayConfig
    for field in dataclasses.fields(settings):
        assert f"--{field.name.replace('_', '-')}" in out


@pytest.mark.parametrize("name", ["train", "test", "export", "tune"])
def test_help_does_not_import_what_takes_long(name, tmp_path):
    code = f"import sys\nfrom kerasrl.cli.door import run\ntry: run('{name}', ['--help'])\nexcept SystemExit: pass\n"
    slow = {"tensorflow", "keras", "gym", "numpy", "onnx", "ray", "optuna", "rich", "scipy"}
    code += f"print(len(sys.modules), *{slow} & set(sys.modules), file=sys.stderr)"
    (tmp_path / "look.py").write_text(code)
    status, out, errors = run(tmp_path / "look.py", folder=tmp_path)
    assert status == 0
    assert int(errors) < 300  # modules, and none of the slow ones; argparse, json and asyncio alone are 143
    assert "--help" in out


WEIGHTS = ROOT / "checkpoints" / "dqn_CartPole-v0_pretrained.h5f"


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("train", ["--nb-steps", "20", "--callback", "look:Look", "--eval-interval", "0", "--verbose", "0"]),
        ("test", ["--weights", str(WEIGHTS), "--episodes", "1"]),
    ],
)
def test_the_start_imports_little_beside_what_tensorflow_and_keras_import(name, arguments, tmp_path):
    """Keras imports matplotlib, Pillow, pandas and others if they are installed; of ours, gym is the largest."""
    (tmp_path / "look.py").write_text(
        "import sys, keras, tensorflow\n"
        "def packages(): return {module.partition('.')[0] for module in sys.modules}\n"
        "theirs = packages()\n"
        "class Look(keras.callbacks.Callback):\n"
        "    def on_train_begin(self, logs=None): print(*packages() - theirs)\n"
    )
    code = f"import look\nfrom kerasrl.cli.door import run\nrun({name!r}, {arguments})\n"
    code += "print(*look.packages() - look.theirs)" if name == "test" else ""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    ours = set(done.stdout.splitlines()[-1].split())
    recipe = {f"kerasrl_recipe_{path.stem}" for path in ROOT.glob("*.py")}
    modules = recipe | {"kerasrl", "rl"} | sys.stdlib_module_names
    assert "gym" in ours
    assert ours - modules <= {"gym", "gym_notices", "cloudpickle", "filelock", "msgspec", "tqdm", "tomli", "tomli_w"}


def test_the_defaults_are_the_tutorials():
    settings = dataclasses.asdict(Config())
    tutorial = {
        "env": "CartPole-v0",
        "hidden_layers": (16, 16, 16),
        "memory_limit": 50_000,
        "window_length": 1,
        "eps_max": 1.0,
        "eps_min": 0.1,
        "eps_test": 0.05,
        "eps_nb_steps": 10_000,
        "nb_steps_warmup": 10,
        "target_model_update": 1e-2,
        "gamma": 0.99,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "checkpoint_interval": 5_000,
        "checkpoint_dir": "checkpoints",
        "log_interval": 100,
        "log_dir": "logs",
        "nb_steps": 50_000,
        "visualize": False,
    }
    assert {name: settings[name] for name in tutorial} == tutorial
    assert PlayConfig("file").episodes == 5


def test_the_network_is_the_tutorials():
    network = model.build_model(4, 2)
    assert [type(layer).__name__ for layer in network.layers] == ["InputLayer", "Flatten", *["Dense"] * 4]
    assert network.input_shape == (None, 1, 4)
    dense = [(layer.units, layer.activation.__name__) for layer in network.layers[2:]]
    assert dense == [(16, "relu"), (16, "relu"), (16, "relu"), (2, "linear")]


@pytest.mark.parametrize(
    "settings",
    [
        Config(),
        Config(
            memory_limit=600, window_length=3, eps_max=0.9, eps_min=0.2, eps_test=0.3, eps_nb_steps=500, gamma=0.9,
            learning_rate=0.5, batch_size=8, train_interval=2, gradient_steps=4, nb_steps_warmup=20,
            target_model_update=100,
        ),
    ],
    ids=["defaults", "others"],
)  # fmt: skip
def test_every_setting_reaches_the_agent(settings):
    dqn = model.build_agent(model.build_model(4, 2, window_length=settings.window_length), 2, settings)
    for name in ["gamma", "batch_size", "train_interval", "gradient_steps", "nb_steps_warmup", "target_model_update"]:
        assert getattr(dqn, name) == getattr(settings, name), name
    assert (dqn.memory.limit, dqn.memory.window_length) == (settings.memory_limit, settings.window_length)
    policy = dqn.policy
    assert (type(policy), type(policy.inner_policy)) == (rl.policy.LinearAnnealedPolicy, rl.policy.EpsGreedyQPolicy)
    assert (policy.attr, policy.nb_steps) == ("eps", settings.eps_nb_steps)
    assert (policy.value_max, policy.value_min) == (settings.eps_max, settings.eps_min)
    assert policy.value_test == settings.eps_test
    assert isinstance(dqn.optimizer, keras.optimizers.Adam)
    assert math.isclose(float(dqn.optimizer.learning_rate), settings.learning_rate, rel_tol=1e-6)
    assert dqn.metrics_names == ["loss", "mae", "mean_q", "mean_eps"]


def test_the_tutorials_callbacks():
    checkpoint, log = build_callbacks("CartPole-v0")
    assert isinstance(checkpoint, rl.callbacks.ModelIntervalCheckpoint)
    assert (checkpoint.filepath, checkpoint.interval) == ("checkpoints/dqn_CartPole-v0_weights_{step}.h5f", 5_000)
    assert isinstance(log, rl.callbacks.FileLogger)
    assert (log.filepath, log.interval) == ("logs/dqn_CartPole-v0_log.json", 100)


def test_every_setting_has_a_line_of_help():
    for settings in (Config, PlayConfig, PlotConfig, ExportConfig, TuneConfig, NewConfig):
        for option in options_of(settings):
            assert re.fullmatch(r"[\w.:].+\.", option.text), option.name

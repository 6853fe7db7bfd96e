"""Many settings, as `tune` tries them."""

import contextlib
import csv
import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from matplotlib.figure import Figure

from kerasrl import Config
from kerasrl.cli.door import run as run_command
from kerasrl.cli.layers import parse_config
from kerasrl.config.agents import AGENTS
from kerasrl.config.files import read_toml
from kerasrl.phrases import shell
from kerasrl.tools.plot.drawing import COLOURS
from kerasrl.tools.tune.pictures import draw_pictures
from kerasrl.tools.tune.search import Search
from kerasrl.tools.tune.space import Choice, Range, read_space

ROOT = Path(__file__).parents[2]
SPACE = """
learning_rate = {low = 1e-4, high = 1e-2, log = true}
batch_size = [16, 32]
hidden_layers = [[16], [24, 24]]
"""
SHORT = ["--nb-steps", "600", "--eval-interval", "200", "--trial-seeds", "2", "--no-jit-compile"]


def search(folder, *arguments):
    (folder / "space.toml").write_text(SPACE)
    return ["--space", str(folder / "space.toml"), "--folder", str(folder / "runs"), *SHORT, *arguments]


def trials(folder):
    with (folder / "runs" / "trials.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.long
def test_a_search_finds_settings_and_trains_the_best_again(ray, tmp_path, capsys, error):
    assert run_command("tune", search(tmp_path, "--trials", "3", "--playoff", "2")) == 0
    told, table = capsys.readouterr().out.splitlines(), trials(tmp_path)
    assert [row["trial"] for row in table] == ["0", "1", "2"]
    for row in table:
        assert 1e-4 <= float(row["learning_rate"]) <= 1e-2
        assert row["batch_size"] in ("16", "32")
        assert row["hidden_layers"] in ("[16]", "[24, 24]")
        assert row["state"] in ("finished", "stopped")
    finished = [row for row in table if row["state"] == "finished"]
    for row in finished:  # the mean of the best weights' evaluations over its seeds, which train.py finds, too
        values = []
        for seed in (1000, 1001):
            folder = tmp_path / "runs" / "trials" / f"{int(row['trial']):03}" / f"seed-{seed}"
            log = json.loads((folder / "dqn_CartPole-v0_log.json").read_text())
            values.append(max(reward for reward in log["evaluation_reward"] if reward is not None))
            assert list(folder.glob("*state*")) == []  # hundreds of them would fill a disk
            assert "playoff" not in read_toml(folder / "dqn_CartPole-v0_config.toml")["run"]
        assert float(row["score"]) >= statistics.fmean(values) - 1e-9
    for config in (tmp_path / "runs" / "best").rglob("*_config.toml"):
        assert len(read_toml(config)["run"]["playoff"]) == 2
    ranked = sorted((row for row in finished), key=lambda row: -float(row["fresh_score"]))
    first = next(line for line in told if line.startswith("1. "))
    assert first.startswith(f"1. trial {ranked[0]['trial']}: ")
    assert f"{float(ranked[0]['score']):.1f}"[:3] in first
    made = tmp_path / "runs" / "history.png"
    assert f"history {made}" in told and made.read_bytes().startswith(b"\x89PNG")
    count = f"{len(finished)} finished trial{'s' if len(finished) > 1 else ''}"
    assert f"no picture of the importance: {count} cannot show it, 20 can" in told
    assert not made.with_name("importance.png").exists()

    best = tmp_path / "runs" / "best.toml"
    about = read_toml(best)["run"]
    assert about["score_on_fresh_seeds"] == float(ranked[0]["fresh_score"])
    assert about["score_in_search"] == float(ranked[0]["score"])
    assert about["tuned_on"] == "CartPole-v0, seeds 1000 to 1001"
    config = parse_config(["--config", str(best)], "train").config
    assert config.learning_rate == float(ranked[0]["learning_rate"])
    assert str(list(config.hidden_layers)) == ranked[0]["hidden_layers"]
    assert (config.nb_steps, config.eval_interval, config.seed) == (600, 200, None)

    # More trials: only those are made, and what was trained stays.
    capsys.readouterr()
    assert run_command("tune", search(tmp_path, "--trials", "4", "--playoff", "2")) == 0
    told = capsys.readouterr().out.splitlines()
    assert trials(tmp_path)[:3] == [
        {**row, "fresh_score": new["fresh_score"]} for row, new in zip(table, trials(tmp_path), strict=False)
    ]
    assert {line.partition(":")[0] for line in told if "seed 1000 begins" in line} == {"trial 3"}

    assert "trial_seeds is 1 here but was 2; choose another --folder" in error(*search(tmp_path, "--trial-seeds", "1"))
    (tmp_path / "space.toml").write_text("gamma = [0.9]")
    assert "space is {'gamma'" in error(
        "--space", str(tmp_path / "space.toml"), "--folder", str(tmp_path / "runs"), *SHORT
    )


@pytest.mark.long
def test_what_lags_is_stopped_and_what_fails_is_told(ray, tmp_path, capsys):
    # Settings that cannot learn, that diverge, and that are impossible together.
    (tmp_path / "space.toml").write_text(
        "learning_rate = [1e-9, 1e-3, 1e38]\neps_max = [0.1, 1.0]\neps_min = [0.05, 0.2]\n"
    )
    arguments = ["--space", str(tmp_path / "space.toml"), "--folder", str(tmp_path / "runs"), "--trials", "12"]
    arguments += ["--nb-steps", "600", "--eval-interval", "100", "--no-jit-compile"]
    run_command("tune", [*arguments, "--trial-seeds", "1"])
    out, _ = capsys.readouterr()
    table = trials(tmp_path)
    impossible = [row for row in table if (row["eps_max"], row["eps_min"]) == ("0.1", "0.2")]
    assert impossible
    assert all(row["reason"] == "eps_min must be at most eps_max, which is 0.1; it is 0.2" for row in impossible)
    diverged = [row for row in table if row not in impossible and row["learning_rate"] == "1e+38"]
    assert diverged
    assert all(row["state"] == "failed" and "loss" in row["reason"] for row in diverged)
    assert "failed: eps_min must be at most eps_max" in out
    stopped = [row for row in table if row["state"] == "stopped"]
    assert stopped
    assert all(int(row["step"]) < 600 for row in stopped)
    assert all(f"trial {row['trial']}: stopped, lagging at step {int(row['step']):,}" in out for row in stopped)


@pytest.mark.long
def test_a_search_that_was_killed_goes_on_with_what_it_was_at(ray, own, gate, tmp_path, capsys, same_training):
    waits, is_open = gate
    options = search(tmp_path, "--trials", "1", "--nb-steps", "2500", "--state-interval", "500")
    options += ["--eval-interval", "1000", "--trial-seeds", "1", *waits]
    with subprocess.Popen(
        [sys.executable, "-m", "kerasrl", "tune", *options],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": f"{own}{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        for line in process.stdout:
            if line.startswith("trial 0: step 1,"):
                break
        os.killpg(process.pid, signal.SIGKILL)
    for left in Path("/tmp").glob(f"ray-{process.pid}-*"):
        shutil.rmtree(left)
    is_open.touch()
    assert run_command("tune", options) == 0
    assert re.search(r"^trial 0: continues from step [\d,]+$", capsys.readouterr().out, re.MULTILINE)
    (trial,) = trials(tmp_path)
    # The setting is the one that was tried, and its weights are those of a training in one piece.
    config = tmp_path / "runs" / "trials" / "000" / "seed-1000" / "dqn_CartPole-v0_config.toml"
    assert read_toml(config)["learning_rate"] == float(trial["learning_rate"])
    alone = tmp_path / "alone"
    folders = ["--checkpoint-dir", str(alone), "--log-dir", str(alone)]
    assert run_command("train", ["--config", str(config), *folders, *waits]) == 0
    same_training(config.parent, alone)


@pytest.mark.long
def test_the_study_is_optunas_own_and_holds_no_pickle(ray, tmp_path, capsys, error):
    # A single evaluation, at the end: nothing is stopped.
    arguments = search(tmp_path, "--trials", "3", "--trial-seeds", "1", "--eval-interval", "600")
    assert run_command("tune", arguments) == 0
    fresh = {row["trial"]: float(row["fresh_score"]) for row in trials(tmp_path)}
    ranked = re.findall(r"^\d\. trial (\d):", capsys.readouterr().out, re.MULTILINE)
    assert len(set(fresh.values())) > 1
    assert [fresh[number] for number in ranked] == sorted(fresh.values(), reverse=True)
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{tmp_path / 'runs' / 'study.db'}")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3
    files = [file for file in (tmp_path / "runs").rglob("*") if file.is_file()]
    assert all(not file.read_bytes().startswith((b"\x80\x04", b"\x80\x05")) for file in files)
    (tmp_path / "runs" / "study.db").write_bytes(b"from a stranger")
    assert "study.db cannot be used: " in error(*arguments)


@pytest.mark.long
def test_what_a_kill_kept_from_being_cleared_is_cleared_by_the_next(tmp_path):
    (tmp_path / "space.toml").write_text("gamma = [0.9, 0.99]")
    config = Config()
    search = Search(config, read_space(tmp_path / "space.toml", config, {"gamma": 0.99}), tmp_path, 1, [])
    files = []
    for number, state in enumerate(("COMPLETE", "PRUNED", "FAIL", "RUNNING")):
        trial, home = search.study.ask(), tmp_path / "trials" / f"{number:03}" / "seed-1000"
        home.mkdir(parents=True)
        files.append([home / f"dqn_CartPole-v0_{name}" for name in ("state", "weights_9.h5f", "best.h5f")])
        for file in files[-1]:
            file.touch()
        if state != "RUNNING":
            search.study.tell(trial, 1.0 if state == "COMPLETE" else None, state=optuna.trial.TrialState[state])
    search.run(4, SimpleNamespace(run=lambda *_: None))
    assert [[file.exists() for file in own] for own in files] == [[False, False, True]] * 3 + [[True] * 3]


@pytest.mark.long
def test_the_last_line_trains_with_all_that_the_settings_name(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("kerasrl.tools.tune.search.draw_pictures", lambda *_: [])
    (tmp_path / "space.toml").write_text("gamma = [0.9]\nnetwork = ['model:build']")
    named = {"env": "mine:E-v0", "env_arg": {"n": 3}, "processor": "mine:P", "callback": ("mine:C", "mine:D")}
    config = Config(**named, eval_env="mine:F-v0")
    space = read_space(tmp_path / "space.toml", config, {"network": ["model:build"], "gamma": 0.99})
    search = Search(config, space, tmp_path, 1, [])
    trial = search.study.ask()
    for name, part in space.items():
        part.suggest(trial, name)
    search.study.tell(trial, 1.0)
    best = dataclasses.replace(config, gamma=0.9, network="model:build")
    with shell():
        search.summarise({0: [1.0]})
    words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert parse_config(words[words.index("--config") :], "train").config == best

    asked = []
    monkeypatch.setattr("kerasrl.tools.train.run", lambda config, _: asked.append(config))
    search.summarise({0: [1.0]})
    exec(capsys.readouterr().out.splitlines()[-1])
    assert asked == [best]
    assert "command" not in read_toml(tmp_path / "best.toml")["run"]  # nobody typed one


def searched(values, nb_stopped=0):
    """A study whose trials reached `values`, before those that were stopped; learning_rate decides."""
    study = optuna.create_study(direction="maximize")
    for value in values:
        learning_rate, batch_size = value / 200, ("32", "64")[len(study.trials) % 2]
        params = {"learning_rate": learning_rate, "batch_size": batch_size}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=DISTRIBUTIONS, value=value))
    for step in range(nb_stopped):
        trial = study.ask(DISTRIBUTIONS)
        trial.report(5.0 + step, 100)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return study


DISTRIBUTIONS = {
    "learning_rate": optuna.distributions.FloatDistribution(0, 1),
    "batch_size": optuna.distributions.CategoricalDistribution(["32", "64"]),
}


@pytest.fixture
def figures(monkeypatch):
    """Figures that are written."""
    written, savefig = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **b: (written.append(self), savefig(self, *a, **b)))
    return written


@pytest.mark.long
@pytest.mark.curve
def test_the_pictures_of_a_search_show_its_trials_and_which_setting_matters(tmp_path, figures):
    values = [float(20 * (k % 4) + k) for k in range(20)]
    study = searched(values, nb_stopped=2)
    told = draw_pictures(study, {19: [70.0, 80.0], 15: [60.0, 62.0]}, tmp_path)
    assert told == [f"{name} {tmp_path / name}.png" for name in ("history", "importance")]
    assert all((tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in ("history", "importance"))
    history, importance = (figure.axes[0] for figure in figures)
    lines = {line.get_label(): line.get_xydata().tolist() for line in history.lines}
    assert lines["finished"] == [[k, value] for k, value in enumerate(values)]
    assert lines["stopped, when it lagged"] == [[20, 5], [21, 6]]
    assert lines["best so far"] == [*([k, max(values[: k + 1])] for k in range(20)), [21, 79]]
    assert lines["trained again, fresh seeds"] == [[19, 75], [15, 61]]
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == list(lines)
    assert {line.get_color() for line in history.lines} <= {*COLOURS, "0.55"}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    expected = optuna.importance.get_param_importances(study, evaluator=evaluator)
    names = [label.get_text() for label in importance.get_yticklabels()]
    shares = dict(zip(names, (bar.get_width() for bar in importance.patches), strict=True))
    assert shares == pytest.approx(expected)
    assert names[-1] == "learning_rate" and shares["learning_rate"] > 0.5  # the largest is on top
    assert "20 finished trials" in importance.get_xlabel()


@pytest.mark.curve
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], "history: no trial is finished"),
        ([1.0, 2.0, 3.0], "importance: 3 finished trials cannot show it, 20 can"),
        ([200.0] * 3 + [9.0] * 17, "importance: too many trials have the same score"),
    ],
    ids=["none", "three", "the same"],
)
def test_no_importance_is_told_of_what_cannot_show_it(tmp_path, values, reason):
    assert draw_pictures(searched(values), {}, tmp_path)[-1] == f"no picture of the {reason}"
    assert [file.name for file in tmp_path.iterdir()] == (["history.png"] if values else [])


def with_view(study):
    with contextlib.closing(sqlite3.connect(study)) as database:
        database.execute("ALTER TABLE trials RENAME TO others")
        endless = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n)"
        database.execute(f"CREATE VIEW trials AS {endless} SELECT i AS trial_id, i AS number FROM n")


def with_pages_that_are_several(study):
    with contextlib.closing(sqlite3.connect(study)) as database, database:
        rows = ((i, "a" * 500) for i in range(100))
        database.executemany("INSERT INTO study_user_attributes VALUES (NULL, ?, 'a', ?)", rows)
        ((root,),) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'study_user_attributes'")
        ((size,),) = database.execute("PRAGMA page_size")
    content = bytearray(study.read_bytes())
    page = (root - 1) * size
    assert content[page] == 5  # of a table, with children
    first = content[page + 8 : page + 12]  # the last child, by which each is replaced
    for cell in range(int.from_bytes(content[page + 3 : page + 5], "big")):
        place = page + int.from_bytes(content[page + 12 + 2 * cell :][:2], "big")
        content[place : place + 4] = first
    study.write_bytes(content)


def with_computed_columns(study):
    with contextlib.closing(sqlite3.connect(study)) as database:
        database.execute("ALTER TABLE trials ADD COLUMN much GENERATED ALWAYS AS (zeroblob(1000000000))")


@pytest.mark.parametrize(
    "damage",
    [
        with_view,
        *(pytest.param(how, marks=pytest.mark.long) for how in (with_pages_that_are_several, with_computed_columns)),
    ],
)
def test_a_study_with_rows_without_end_is_refused(tmp_path, damage, refused):
    Search(Config(), {}, tmp_path, 1, [])
    Search(Config(), {}, tmp_path, 1, [])  # goes on
    damage(tmp_path / "study.db")
    with refused("study.db cannot be used"):
        Search(Config(), {}, tmp_path, 1, [])


@pytest.mark.parametrize("file", sorted((ROOT / "spaces").glob("*.toml")), ids=lambda file: file.stem)
def test_shipped_spaces_hold_the_defaults_and_say_why(file):
    config = AGENTS[file.stem].settings()
    space = read_space(file, config, {})
    for name, part in space.items():
        default = getattr(config, name)
        if isinstance(part, Range):
            assert part.low <= default <= part.high, name
        else:
            assert isinstance(part, Choice)
            assert default in part.values, name
    text = file.read_text()
    assert all(re.search(rf"^# .*\n{name} = ", text, re.MULTILINE) for name in space)


@pytest.mark.parametrize(
    "text",
    [
        *("", "gama = [0.9]", "gamma = []", "gamma = [0.9, 0.9]", "gamma = 0.9", "gamma = [2]", "gamma = ['x']"),
        *("gamma = {low = 0.5, high = 1.5}", "gamma = {low = 0.9, high = 0.5}", "gamma = {low = 0.5}"),
        *("gamma = {low = 0.5, hihg = 1}", "gamma = {low = nan, high = 1}", "gamma = {low = 0.1, high = 1, log = 1}"),
        *("gamma = {low = 0, high = 1, log = true}", "batch_size = {low = 1.5, high = 3}"),
        *("batch_size = {low = true, high = 3}", "hidden_layers = {low = 1, high = 2}", "optimizer = ['adma']"),
        *("seed = [1, 2]", "trust = [true]", "env = ['os:system']", "network = ['os:system']"),
        *("callback = [['os:system']]", "gamma = "),
    ],
)
def test_a_wrong_space_is_told_in_a_line_before_anything_starts(text, tmp_path, said, error, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("space.toml").write_text(text)
    line = said(error("--space", "space.toml"), r"(?<=is not TOML: ).*")  # Python's words
    assert line.startswith("error: space.toml") and (text.partition(" ")[0] in line or "not TOML" in line)
    assert [file.name for file in tmp_path.iterdir()] == ["space.toml"]


def test_no_space_file_and_no_evaluations(tmp_path, said, error):
    assert "no.toml" in said(error("--space", str(tmp_path / "no.toml")))
    (tmp_path / "space.toml").write_text(SPACE)
    assert "eval_interval" in said(error("--space", str(tmp_path / "space.toml"), "--eval-interval", "0"))

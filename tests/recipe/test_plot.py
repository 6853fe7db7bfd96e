"""The pictures that plot.py draws of logs, and what it says of files that are no logs."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import PIL.Image
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kerasrl import Config, plot
from kerasrl.cli.door import run as run_command
from kerasrl.cli.options import parse
from kerasrl.config.commands import PlotConfig
from kerasrl.config.settings import RunSettings
from kerasrl.errors import UserError
from kerasrl.tools.intervals import interval_of_mean, mean_and_interval
from kerasrl.tools.plot import drawing as plotting
from kerasrl.tools.plot.drawing import running_mean

pytestmark = pytest.mark.curve
ROOT = Path(__file__).parents[2]
KERAS_RL = Path(__file__).parents[1] / "data" / "keras_rl_0.4.2_log.json"


def write_log(folder, env="CartPole-v0", seed=0, nb_episodes=300, scale=1.0, settings="", without=(), offset=0):
    """Write a log and the settings beside it; episode k ends at step 10 k + 10 + offset, its reward is k * scale."""
    numbers = list(range(nb_episodes))
    columns = {
        "loss": [None, *(0.1 * k for k in numbers[1:])],
        "mean_eps": [1 - k / nb_episodes for k in numbers],
        "episode_reward": [k * scale for k in numbers],
        "nb_steps": [10 * (k + 1) + offset for k in numbers],
        "evaluation_reward": [k * scale if k % 50 == 49 else None for k in numbers],
    }
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"dqn_{env}_log.json"
    log.write_text(json.dumps({key: values for key, values in columns.items() if key not in without}))
    (folder / f"dqn_{env}_config.toml").write_text(
        f'env = "{env}"\nseed = {seed}\nlog_dir = "{folder.name}"\n{settings}\n'
        f'[run]\ncommand = "train.py --seed {seed}"\nreward_threshold = 195.0\n'
    )
    return log


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Draw logs and return the figure; what is written is an empty picture, since to make one of it takes longest."""
    figures = []
    savefig = Figure.savefig

    def keep(figure, *arguments, **options):
        figures.append(figure)
        savefig(Figure((1, 1)), *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)

    def run(*logs, **options):
        plot(logs, tmp_path / "picture.png", **options)
        return figures[-1]

    run.figures = figures

    return run


def lines(axes, colour=None):
    """Return the lines with more than two points, which are curves and no thresholds."""
    return [
        line for line in axes.lines if line.get_linestyle() != ":" and (colour is None or line.get_color() == colour)
    ]


def thresholds(axes):
    return {line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":"}


def band(collection, step):
    """Return the lowest and the highest value of a band near a step."""
    steps, values = collection.get_paths()[0].vertices.T
    values = values[np.abs(steps - step) <= np.abs(steps - step).min()]
    return values.min(), values.max()


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_run_shows_episodes_mean_evaluations_epsilon_loss_and_threshold(tmp_path, draw):
    figure = draw(write_log(tmp_path, seed=7))
    reward, epsilon, loss = figure.axes
    steps = 10.0 * np.arange(1, 301)
    episodes, mean, evaluations = lines(reward)
    np.testing.assert_array_equal(episodes.get_xydata(), np.column_stack([steps, np.arange(300)]))
    assert episodes.get_linestyle() == "None"
    np.testing.assert_allclose(mean.get_xdata(), steps)
    assert (mean.get_ydata()[9], mean.get_ydata()[-1]) == pytest.approx((np.mean(range(10)), np.mean(range(200, 300))))
    np.testing.assert_array_equal(evaluations.get_xydata(), [[10 * k + 10, k] for k in range(49, 300, 50)])
    assert thresholds(reward) == {195}
    np.testing.assert_allclose(lines(epsilon)[0].get_ydata(), 1 - np.arange(300) / 300)
    np.testing.assert_allclose(lines(loss)[0].get_ydata()[-1], np.mean(0.1 * np.arange(200, 300)))
    np.testing.assert_array_equal(lines(loss)[0].get_xdata(), steps[1:])
    assert all(panel.get_xlim() == reward.get_xlim() for panel in figure.axes)
    assert figure.axes[-1].get_xlabel() == "environment steps"
    assert all(panel.get_ylabel() for panel in figure.axes)
    assert reward.get_title() == "CartPole-v0, seed 7"
    assert legend(figure) == ["episode", "mean of the last 100 episodes", "evaluation", "reward threshold 195"]


def with_columns(log, **columns):
    """Add columns to a log."""
    log.write_text(json.dumps({**json.loads(log.read_text()), **columns}))
    return log


def test_the_environments_own_rewards_are_drawn_and_what_a_processor_makes_of_them_below(tmp_path, draw):
    own = [3.0 * k for k in range(300)]
    reward, processed, *_ = draw(with_columns(write_log(tmp_path), environment_reward=own)).axes
    np.testing.assert_array_equal(lines(reward)[0].get_ydata(), own)
    assert lines(reward)[1].get_ydata()[-1] == pytest.approx(np.mean(own[200:]))
    assert "after\nthe processor" in processed.get_ylabel()
    assert lines(processed)[0].get_ydata()[-1] == pytest.approx(np.mean(range(200, 300)))
    assert thresholds(reward) == {195} and not thresholds(processed)
    same = with_columns(write_log(tmp_path), environment_reward=list(range(300)))
    assert len(draw(same).axes) == 3  # there is nothing more to show


def test_other_columns_are_drawn_on_request(tmp_path, draw, refused):
    log = with_columns(write_log(tmp_path, nb_episodes=300), is_success=[k % 2 for k in range(300)], lives=[None] * 300)
    assert len(draw(log).axes) == 3
    *_, loss, success = draw(log, also=["is_success", "loss"]).axes
    assert success.get_ylabel().startswith("is_success\n") and loss.get_ylabel().startswith("loss")
    np.testing.assert_allclose(lines(success)[0].get_ydata()[-1], 0.5)
    for name in ("lives", "is_sucess"):
        with refused(name, "is_success"):
            draw(log, also=[name])


def test_threshold_of_the_command_line_replaces_that_of_the_settings(tmp_path, draw):
    assert thresholds(draw(write_log(tmp_path), threshold=-110.5).axes[0]) == {-110.5}


def test_keras_rls_own_log(draw):
    figure = draw(KERAS_RL)
    rewards = json.loads(KERAS_RL.read_text())["episode_reward"]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), rewards)
    assert len(figure.axes) == 3


def test_bare_nan_and_missing_keys(tmp_path, draw):
    log = tmp_path / "log.json"
    log.write_text('{"loss": [NaN, 2.0, 3.0], "episode_reward": [1.0, NaN, 5.0], "nb_steps": [4, 8, 12]}')
    reward, loss = draw(log).axes
    np.testing.assert_array_equal(lines(reward)[1].get_xydata(), [[4, 1], [12, 3]])
    np.testing.assert_array_equal(lines(loss)[0].get_xydata(), [[8, 2], [12, 2.5]])


@pytest.mark.long
def test_seeds_are_one_group_with_mean_and_interval(tmp_path, draw):
    logs = [write_log(tmp_path / str(seed), seed=seed, scale=1.0 + seed) for seed in range(3)]
    figure = draw(*logs)
    reward = figure.axes[0]
    *runs, mean = lines(reward, plotting.COLOURS[0])
    assert len(runs) == 3
    np.testing.assert_allclose(mean.get_ydata()[-1], 2 * np.mean(range(200, 300)))
    evaluations = lines(reward, plotting.COLOURS[1])
    assert len(evaluations) == 4
    np.testing.assert_allclose(evaluations[-1].get_ydata()[[0, -1]], [2 * 49, 2 * 299])
    low, high = band(reward.collections[0], 1000)
    # The mean of each run is 49.5 there, times 1, 2 or 3: 2.5% of the bootstrap's means are at each end.
    np.testing.assert_allclose([low, high], [49.5, 3 * 49.5], rtol=0.02)
    np.testing.assert_allclose(band(reward.collections[0], 3000), [249.5, 3 * 249.5])
    assert reward.get_title() == "CartPole-v0, 3 runs"
    assert {"each run", "95% interval of the runs' mean"} < set(legend(figure))


def test_other_settings_and_environments_are_groups_of_their_own(tmp_path, draw):
    logs = [
        write_log(tmp_path / f"{group}{seed}", env, seed, settings=f"gamma = {gamma}\nverbose = {seed}")
        for group, (env, gamma) in enumerate([("CartPole-v0", 0.99), ("CartPole-v0", 0.9), ("Acrobot-v1", 0.9)])
        for seed in range(2)
    ]
    figure = draw(*logs)
    assert legend(figure)[:3] == [
        "CartPole-v0, gamma 0.99, 2 runs",
        "CartPole-v0, gamma 0.9, 2 runs",
        "Acrobot-v1, 2 runs",
    ]
    assert {line.get_color() for line in lines(figure.axes[0])} == set(plotting.COLOURS[:3])
    assert [len(lines(panel)) for panel in figure.axes] == [6] * 4  # two runs of each group
    assert not any(panel.collections for panel in figure.axes)
    assert [panel.get_ylabel().splitlines()[-1] for panel in figure.axes[:2]] == [
        "(mean of the last 100)",
        "(evaluations)",
    ]


def test_logs_without_settings_are_told_apart_by_their_names(tmp_path, draw):
    logs = [write_log(tmp_path / str(run), env) for run, env in enumerate(["A-v0", "A-v0", "B-v0"])]
    for log in logs:
        log.with_name(log.name.replace("_log.json", "_config.toml")).unlink()
    assert legend(draw(*logs))[:2] == ["A-v0, 2 runs", "B-v0"]


def test_a_log_named_twice_is_no_second_run(tmp_path, draw):
    log = write_log(tmp_path)
    assert draw(log, log).axes[0].get_title() == "CartPole-v0, seed 0"


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [
        {"nb_episodes": 1},
        {"nb_episodes": 2, "without": ("loss", "mean_eps", "evaluation_reward")},
        {"nb_episodes": 10_000, "scale": -200.0},
        {"scale": 0.0},
        {"env": "$cost_{$^ \u6f22\u5b57\u20ac" + "n" * 150},
    ],
    ids=["one episode", "two, rewards only", "many and negative", "all zero", "name"],
)
def test_nothing_is_clipped_and_nothing_warns(tmp_path, draw, options):
    figure = draw(write_log(tmp_path, **options), write_log(tmp_path / "other", "Other-v0", nb_episodes=1))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    for artist in [*figure.axes, *figure.legends]:
        box = artist.get_tightbbox(renderer)
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, artist
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, artist
    bottom = min(panel.get_tightbbox(renderer).y0 for panel in figure.axes)
    assert figure.legends[0].get_window_extent(renderer).y1 <= bottom


def test_curves_of_runs_without_a_common_step_are_drawn_without_a_mean(tmp_path, draw):
    figure = draw(write_log(tmp_path / "0", nb_episodes=1), write_log(tmp_path / "1", seed=1))
    assert [len(line.get_xdata()) for line in lines(figure.axes[0], plotting.COLOURS[0])] == [1, 300]
    assert lines(figure.axes[0])[0].get_marker() == "o"


def test_running_mean():
    np.testing.assert_allclose(running_mean(np.array([4.0, 2.0, 0.0, 5.0, 1.0]), 3), [4, 3, 2, 7 / 3, 2])


@pytest.mark.long
@pytest.mark.parametrize(("nb_runs", "nb_lines", "nb_bands"), [(2, 2, 0), (3, 4, 1), (10, 11, 1), (11, 1, 1)])
def test_the_number_of_runs_decides_what_is_drawn(tmp_path, draw, nb_runs, nb_lines, nb_bands):
    logs = [write_log(tmp_path / str(seed), seed=seed, scale=seed, without=("loss",)) for seed in range(nb_runs)]
    for panel, colours in zip(draw(*logs).axes, (plotting.COLOURS[:2], plotting.COLOURS[:1]), strict=True):
        assert [len(lines(panel, colour)) for colour in colours] == [nb_lines] * len(colours)
        assert len(panel.collections) == nb_bands * len(colours)


def test_mean_and_band_end_with_the_shortest_run_and_stay_within_what_was_reached(tmp_path, draw):
    lengths = [(100, 9.0), (300, 1.0), (200, 1.0)]
    logs = [write_log(tmp_path / str(n), seed=n, nb_episodes=n, scale=scale) for n, scale in lengths]
    reward = draw(*logs).axes[0]
    *runs, mean = lines(reward, plotting.COLOURS[0])
    reached = np.concatenate([run.get_ydata() for run in runs])
    assert (mean.get_xdata()[0], mean.get_xdata()[-1]) == (10, 1000)
    assert np.abs(np.diff(mean.get_ydata())).max() < 2
    steps, values = reward.collections[0].get_paths()[0].vertices.T
    assert (steps.min(), steps.max()) == (10, 1000)
    assert reached.min() <= values.min() and values.max() <= reached.max()
    assert reward.get_xlim()[1] >= 3000


def test_a_run_of_one_episode_leaves_the_lines_of_the_others(tmp_path, draw):
    logs = [write_log(tmp_path / str(seed), seed=seed, nb_episodes=300 if seed else 1) for seed in range(12)]
    reward = draw(*logs).axes[0]
    assert [len(line.get_xdata()) for line in lines(reward, plotting.COLOURS[0])] == [1] + [300] * 11


@pytest.mark.long
@pytest.mark.parametrize("nb_kinds", [7, pytest.param(9, marks=pytest.mark.long)])
def test_from_seven_kinds_on_each_has_a_panel(tmp_path, draw, nb_kinds):
    logs = [
        write_log(tmp_path / f"{kind} {seed}", seed=seed, settings=f"gamma = 0.{kind}")
        for kind in range(nb_kinds)
        for seed in range(3)
    ]
    figure = draw(*logs)
    assert [panel.get_title() for panel in figure.axes] == [
        f"CartPole-v0, gamma 0.{k}, 3 runs" for k in range(nb_kinds)
    ]
    assert {(len(lines(panel)), len(panel.collections), panel.get_ylim()) for panel in figure.axes} == {
        (8, 2, figure.axes[0].get_ylim())
    }
    assert [panel.get_xlabel() for panel in figure.axes[-4:]] == ["", *["environment steps"] * 3]
    assert legend(figure) == [
        "mean of the last 100 episodes",
        "evaluation",
        "reward threshold 195",
        "each run",
        "95% interval of the runs' mean",
    ]
    figure.draw_without_rendering()  # there is room for all of it


def test_the_readmes_curve_is_of_todays_defaults():
    (drawn,) = json.loads(PIL.Image.open(ROOT / "docs" / "curve.png").text["Keywords"])
    settings = {field.name for field in dataclasses.fields(Config)}
    settings -= {field.name for field in dataclasses.fields(RunSettings)} - {"nb_steps"}
    defaults = json.loads(json.dumps(dataclasses.asdict(Config())))
    assert {"env", "eval_interval", "gamma", "nb_steps"} <= settings
    defaults = {name: value if value != {} else None for name, value in defaults.items()}  # tables are left out
    since = {name: defaults[name] for name in settings}  # what came later is as it was before
    assert {name: drawn.get(name, since[name]) for name in settings} == since


@pytest.mark.long
def test_the_band_of_evaluations_is_computed_where_they_were_and_joined_by_lines(tmp_path, draw):
    scales, offsets = [1.0, 3.0, 2.0], [4, 1, 7]
    for seed, (scale, offset) in enumerate(zip(scales, offsets, strict=True)):
        write_log(tmp_path / f"runs/seed-{seed}", seed=seed, scale=scale, offset=offset)
    assert run_command("plot", [str(tmp_path / "runs")]) == 0
    reward = draw.figures[0].axes[0]
    mean, measured = lines(reward, plotting.COLOURS[1])[-1], np.arange(49, 300, 50)
    steps = 10 * measured + 10 + 4  # the mean of the runs' own steps
    np.testing.assert_allclose(mean.get_xydata(), np.column_stack([steps, 2 * measured]))
    vertices = reward.collections[1].get_paths()[0].vertices
    assert set(vertices[:, 0]) == set(steps)
    for step, value in zip(steps, measured, strict=True):  # of three runs, the bootstrap's interval is their range
        assert band(reward.collections[1], step) == (value, 3 * value)


def curve(steps, values):
    return np.array(steps, float), np.array(values, float)


@pytest.mark.parametrize(
    ("curves", "expected"),
    [
        (  # of two intervals, the longer; what is nearest
            [curve([10, 20], [1, 2]), curve([10, 20], [1, 2]), curve([5, 11, 16, 19], [7, 4, 9, 5])],
            ([31 / 3, 59 / 3], [2, 3], [[1, 2], [4, 5]]),
        ),
        (  # as far as the shortest goes, whose last is a little earlier than those of the others
            [curve([9, 19], [1, 2]), curve([10, 20, 30], [1, 2, 3]), curve([11, 21, 31, 40], [4, 5, 6, 7])],
            ([10, 20], [2, 3], [[1, 2], [4, 5]]),
        ),
        ([curve([10, 20], [1, 2])] * 2 + [curve([10], [1])], None),
        ([curve([10, 20], [1, 2])] * 2 + [curve([100, 110], [1, 2])], None),
        ([curve([10, 20], [1, 2])] * 2, None),
        ([curve([10, 20], [1, 2])], None),
    ],
    ids=["intervals differ", "lengths differ", "one value", "no common step", "two runs", "one run"],
)
def test_mean_and_interval_are_of_values_that_were_measured(curves, expected):
    found = mean_and_interval(curves)
    assert (found is None) == (expected is None)
    if expected is not None:
        for array, values in zip((*found[0], found[1]), expected, strict=True):
            np.testing.assert_allclose(array, values)


def test_the_mean_of_thousands_of_episodes_has_500_places():
    rng = np.random.default_rng(0)
    curves = [curve(rng.integers(5, 15, 2_000 + k).cumsum(), [k] * (2_000 + k)) for k in range(4)]
    (steps, mean), ends = mean_and_interval(curves)
    assert len(steps) == 500 and (np.diff(steps) > 0).all()
    assert steps[-1] == pytest.approx(min(steps[-1] for steps, _ in curves), abs=10)
    assert set(mean) == {1.5} and (np.ptp(ends, axis=1) == 0).all() and 0 <= ends[0, 0] < ends[1, 0] <= 3


def folder_of_runs(folder, *, seeds=3, **options):
    """Write the logs of runs as `tune` leaves them."""
    for seed in range(seeds):
        write_log(folder / f"seed-{seed}", seed=seed, **{"scale": 1.0 + seed, **options})
    (folder / "settings.json").write_text("{}")
    return str(folder)


def test_two_folders_of_tune_are_compared_under_labels_of_ones_own(tmp_path, capsys, draw):
    plain = folder_of_runs(tmp_path / "plain", settings="n_step = 1")
    n_step = folder_of_runs(tmp_path / "n-step", settings="n_step = 3", scale=0.5)
    options = ["--label", "one step", plain, "--label", "three", n_step]
    assert parse(PlotConfig, options, "") == parse(PlotConfig, [plain, n_step, *options[:2], *options[3:5]], "")
    assert run_command("plot", options) == 0
    assert capsys.readouterr() == (f"curve {tmp_path / 'curves.png'}\n", "")
    (figure,) = draw.figures
    assert legend(figure) == ["one step, 3 runs", "three, 3 runs", "reward threshold 195", plotting.INTERVAL]
    assert figure.axes[0].get_title() == "CartPole-v0"
    for panel in figure.axes[:2]:
        assert [len(lines(panel, colour)) for colour in plotting.COLOURS[:2]] == [1, 1]
        assert len(panel.collections) == 2
    np.testing.assert_allclose(lines(figure.axes[1], plotting.COLOURS[1])[-1].get_ydata(), np.arange(49, 300, 50) / 2)
    told = json.loads(PIL.Image.open(tmp_path / "curves.png").text["Keywords"])
    assert [(run["label"], run["n_step"]) for run in told] == [("one step", 1)] * 3 + [("three", 3)] * 3


def test_folders_without_labels_are_told_apart_by_their_settings(tmp_path, draw):
    folders = [folder_of_runs(tmp_path / str(n), seeds=2, settings=f"n_step = {n}") for n in (1, 3)]
    assert legend(draw(*folders))[:2] == ["CartPole-v0, n_step 1, 2 runs", "CartPole-v0, n_step 3, 2 runs"]


def test_logs_with_the_same_label_are_one_kind_whatever_their_settings(tmp_path, draw):
    logs = [write_log(tmp_path / str(run), f"E{run}-v0", settings=f"gamma = 0.{run}") for run in range(1, 4)]
    figure = draw(*logs, labels=["old", "old", "new"])
    assert legend(figure)[:2] == ["old, 2 runs", "new"]
    assert figure.axes[0].get_title() == ""
    assert plot(logs[:1], labels=["new"]) == logs[0].with_name("dqn_E1-v0_curve.png")


@pytest.mark.long
def test_a_folder_gets_its_picture_itself(tmp_path):
    folder = folder_of_runs(tmp_path / "runs", seeds=1)
    write_log(tmp_path / "runs/earlier/1")  # replaced by a later run
    drawn = plot(folder)
    assert drawn == tmp_path / "runs/curves.png"
    shown, size = drawn._repr_png_()  # in a notebook
    assert shown.startswith(b"\x89PNG") and size == {"width": matplotlib.image.imread(drawn).shape[1] // 2}
    assert drawn._repr_svg_() is drawn.with_suffix(".gone")._repr_png_() is None
    assert len(json.loads(PIL.Image.open(drawn).text["Keywords"])) == 1


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("logs --label one --label two", "2 are given for 1"),
        ("logs logs --label one", "1 is given for 2"),
        ("logs --label", "--label"),
        (["logs", "--label", " "], "label"),
        ("empty", "empty"),
        ("--label one logs --labl two", "--label?"),
    ],
)
def test_labels_and_folders_that_do_not_fit_are_told_on_one_line(tmp_path, said, capsys, monkeypatch, words, named):
    monkeypatch.chdir(tmp_path)
    write_log(tmp_path / "logs")
    (tmp_path / "empty/a/b").mkdir(parents=True)
    with pytest.raises(SystemExit) as stop:
        run_command("plot", words.split() if isinstance(words, str) else words)
    error = said(capsys.readouterr().err)
    assert (stop.value.code, error.count("\n")) == (2, 1) and named in error
    assert list(tmp_path.rglob("*.png")) == []


@pytest.mark.long
def test_the_interval_is_the_bootstraps_and_needs_three_runs():
    assert interval_of_mean([0.0, 2.0]) is interval_of_mean([3.0]) is None
    scores = [200.0, 150.0, 180.0, 170.0, 199.0, 120.0, 188.0, 177.0]
    means = np.random.default_rng(1).choice(scores, (20_000, len(scores))).mean(axis=1)
    assert interval_of_mean(scores) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=1)
    assert interval_of_mean([3.0] * 5).tolist() == [3, 3]
    values = np.random.default_rng(0).normal([0, 100], [1, 5], (400, 2))
    half = 1.96 * values.std(axis=0) / 20
    expected = [values.mean(axis=0) - half, values.mean(axis=0) + half]
    np.testing.assert_allclose(interval_of_mean(values) - values.mean(axis=0), expected - values.mean(axis=0), rtol=0.1)
    np.testing.assert_allclose(interval_of_mean(values)[:, 1], interval_of_mean(values[:, 1]))


@pytest.mark.parametrize(
    ("names", "picture"), [(["dqn_E_log.json"], "dqn_E_curve.png"), (["a.json", "b.json"], "curves.png")]
)
def test_picture_is_beside_the_first_log_and_its_path_is_printed(tmp_path, capsys, names, picture):
    for name in names:
        (tmp_path / name).write_text(KERAS_RL.read_text())
    assert run_command("plot", [str(tmp_path / name) for name in names]) == 0
    assert capsys.readouterr() == (f"curve {tmp_path / picture}\n", "")
    assert matplotlib.image.imread(tmp_path / picture).shape[1] == 1200
    assert {path.name for path in tmp_path.iterdir()} == {*names, picture}


@pytest.mark.long
@pytest.mark.parametrize(("suffix", "begin"), [(".png", b"\x89PNG"), (".SVG", b"<?xml"), (".pdf", b"%PDF")])
def test_formats(tmp_path, suffix, begin):
    assert plot([KERAS_RL], tmp_path / f"curve{suffix}").read_bytes().startswith(begin)


@pytest.mark.parametrize(
    "content",
    [
        *(None, '{"episode_reward": [1', b"\x89HDF\xff", "[1, 2]", '{"loss": [1.0], "nb_steps": [1]}'),
        *('{"episode_reward": [1.0]}', '{"episode_reward": [], "nb_steps": []}'),
        *('{"episode_reward": [NaN], "nb_steps": [1]}', '{"episode_reward": [1.0, 2.0], "nb_steps": [1]}'),
        *('{"episode_reward": 1.0, "nb_steps": [1]}', '{"episode_reward": ["much"], "nb_steps": [1]}'),
        *('{"episode_reward": [1.0, 2.0], "nb_steps": [2, 1]}', '{"episode_reward": [1.0], "nb_steps": [null]}'),
    ],
)
def test_what_is_no_log_is_told_on_one_line(tmp_path, said, capsys, content):
    log = tmp_path / "dqn_E_log.json"
    if content is not None:
        log.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SystemExit) as stop:
        run_command("plot", [str(log)])
    out, error = capsys.readouterr()
    assert (stop.value.code, out, error.count("\n")) == (2, "", 1)
    assert f"error: {log}" in said(error, r"(?<=is not JSON: )[^;]*|(?<=is not text: )[^;]*")  # Python's words
    assert not (tmp_path / "dqn_E_curve.png").exists()


@pytest.mark.parametrize(
    "options",
    ["--out missing/curve.png", "--out curve.jpg", "--out folder.png", "--threshold nan", "--threshold high"],
)
def test_what_cannot_be_written_is_told_on_one_line(tmp_path, said, capsys, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SystemExit) as stop:
        run_command("plot", [str(KERAS_RL), *options.split()])
    error = said(capsys.readouterr().err)
    assert (stop.value.code, error.count("\n")) == (2, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_no_log(refused):
    with refused("log"):
        plot([])


def test_damaged_settings_are_named(tmp_path):
    log = write_log(tmp_path)
    (tmp_path / "dqn_CartPole-v0_config.toml").write_text("env = ")
    with pytest.raises(UserError, match=r"dqn_CartPole-v0_config\.toml is not TOML: .*; remove it"):
        plot([log])


@pytest.mark.long
def test_a_persons_style_changes_nothing_and_is_left_alone(tmp_path):
    plain = plot([KERAS_RL], tmp_path / "plain.png").read_bytes()
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30}):
        assert plot([KERAS_RL], tmp_path / "dark.png").read_bytes() == plain
        assert matplotlib.rcParams["axes.facecolor"] == "black"


@pytest.mark.long
def test_help_does_not_wait_for_matplotlib_and_nothing_else_is_printed(tmp_path):
    script = (
        "import sys\nfrom kerasrl.cli.door import run\n"
        "try: run('plot', ['--help'])\n"
        "except SystemExit: pass\n"
        "print('loaded', sorted({'matplotlib', 'tensorflow', 'keras'} & set(sys.modules)))"
    )
    options = {"cwd": ROOT, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "-c", script], **options)
    assert "LOG [LOG ...]" in done.stdout and done.stdout.endswith("loaded []\n")
    # Where no configuration folder can be made, matplotlib would announce another one and the fonts' cache.
    (tmp_path / "file").touch()
    environment = {"HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path / "file"), "PATH": ""}
    command = [sys.executable, "-m", "kerasrl", "plot", str(KERAS_RL), "--out", str(tmp_path / "curve.png")]
    done = subprocess.run(command, env=environment, **options)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"curve {tmp_path / 'curve.png'}\n", "")


@pytest.mark.long
def test_no_mplbackend_keeps_anything_from_being_learned(tmp_path):
    command = [
        sys.executable,
        "-m",
        "kerasrl",
        "train",
        "--nb-steps",
        "200",
        "--eval-interval",
        "0",
        "--no-jit-compile",
    ]
    environment = {**os.environ, "MPLBACKEND": "nonsense"}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert list(tmp_path.glob("logs/*_curve.png"))


@pytest.mark.long
@pytest.mark.parametrize("backend", ["nonsense", "module://nonsense", "qtagg"])
def test_no_mplbackend_keeps_a_curve_from_being_drawn(tmp_path, python, backend):
    (tmp_path / "x_log.json").write_text(json.dumps({"episode_reward": [1.0, 2.0], "nb_steps": [10, 20]}))
    # The backend is chosen as Matplotlib is imported.
    forget = "import sys\nfor name in [n for n in sys.modules if n.startswith('matplotlib')]: del sys.modules[name]"
    ran = python.run(tmp_path, "-m", "kerasrl", "plot", "x_log.json", before=forget, MPLBACKEND=backend)
    assert (ran.status, ran.errors) == (0, "")
    assert (tmp_path / "x_curve.png").read_bytes().startswith(b"\x89PNG")

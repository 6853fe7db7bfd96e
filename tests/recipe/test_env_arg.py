"""Arguments of environments, and environments to evaluate in: given, kept in files, used only if they are trusted."""

import json
import sys
from pathlib import Path

import gym
import numpy as np
import pytest

from kerasrl import Config, environments, play, train, tune
from kerasrl.cli.door import run as run_command
from kerasrl.cli.layers import parse_config
from kerasrl.config.arguments import parsed, words
from kerasrl.config.files import read_toml
from kerasrl.storage import TrainingState, weights
from kerasrl.tools.tune.seeds import checked
from kerasrl.tools.tune.worker import Job, read_result, work
from kerasrl.training.run import TrainingRun

REHEARSE = TrainingRun._rehearse
FEW = {"nb_steps": 30, "seed": 3, "eval_interval": 10, "eval_episodes": 1, "hidden_layers": (2,), "verbose": 0}
OPTIONS = [word for name, value in FEW.items() for word in (f"--{name}", str(value).strip("(,)"))]


class Walk(gym.Env):
    """So many steps, each of which pays the same."""

    observation_space, action_space = gym.spaces.Box(-1, 1, (2,), np.float32), gym.spaces.Discrete(2)
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    made = []  # noqa: RUF012  # the arguments of each

    def __init__(self, length=5, pay=1.0, names=(), render_mode=None):
        self.length, self.pay, self.render_mode = length, pay, render_mode
        self.made.append((length, pay, names))

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.nb_steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.nb_steps += 1
        return np.zeros(2, np.float32), self.pay, self.nb_steps == self.length, False, {}

    def render(self):
        return np.zeros((20, 20, 3), np.uint8)


class Turn(Walk):
    action_space = gym.spaces.Discrete(3)


class Later(Walk):
    action_space = gym.spaces.Discrete(2, start=1)


def function(length, **others):
    return Walk(length, **others)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    for name, kind in {"Walk": Walk, "Turn": Turn, "Later": Later, "Function": function}.items():
        gym.envs.registration.registry.pop(f"{name}-v0", None)
        gym.register(f"{name}-v0", kind, reward_threshold=7.0 if name == "Walk" else None)
    Walk.made.clear()
    monkeypatch.setattr(TrainingRun, "_rehearse", lambda _: None)


def run(*options):
    return run_command("train", ["--env", "Walk-v0", *OPTIONS, *options])


def settings(name="Walk-v0"):
    return read_toml(Path(f"logs/dqn_{name}_config.toml"))


# How they are written


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1", 1), ("-9.81", -9.81), ("1e3", 1000.0), ("1_000", 1000), ("inf", float("inf")), ("007", "007")),
        *(("true", True), ("False", False), ("a b", "a b"), ("", ""), ("'1'", "1"), ('"a\\"b"', 'a"b'), ("a=b", "a=b")),
        *(("[1, 2]", [1, 2]), ("(1, 'a')", [1, "a"]), ("{a = [1.5]}", {"a": [1.5]}), ("{'a': 1}", {"a": 1})),
        *(("2024-01-01", "2024-01-01"), ("[1,", "[1,"), ("SFFF", "SFFF"), ("1\nb = 2", "1\nb = 2")),
    ],
)
def test_a_value_is_what_toml_or_python_takes_it_for_or_else_text(text, value):
    found = parsed("--env-arg", [f"x={text}"])
    assert repr(found) == repr({"x": value})
    assert repr(parsed("--env-arg", words(found))) == repr(found)


def test_all_that_are_given_count_and_of_one_name_the_last():
    given = ["--env-arg", "a=1", "--env-arg", "wind-power=2", "b='x'", "--env-arg", "a=3"]
    found = parse_config(given, "train.py")
    assert found.config.env_arg == {"a": 3, "wind_power": 2, "b": "x"}
    assert found.told == ("options: env_arg a=3 wind_power=2 b=x",)
    twice = ["--callback", "a:A", "--callback", "b:B", "c:C", "--hidden-layers", "8", "--hidden-layers", "4", "2"]
    found = parse_config(twice, "train.py").config
    assert (found.callback, found.hidden_layers) == (("a:A", "b:B", "c:C"), (4, 2))


@pytest.mark.parametrize(
    "given",
    [
        *(
            {"render_mode": "human"},
            {"disable_env_checker": False},
            {"a b": 1},
            {"": 1},
            {"a": None},
            {"a": np.int64(1)},
        ),
        *({"a": {1, 2}}, {"a": [[[[[[[[[1]]]]]]]]]}, {"a": "\x1b"}, {"a": 2**63}, {"a": float("nan")}),
        *({"a": "x" * 30_000}, {"a": [0] * 30_000}, {3: 4}, "a=1", {"a": {5: 6}}),
    ],
    ids=lambda given: repr(given)[:30],
)
def test_what_cannot_be_an_argument_is_refused(given, refused):
    with refused("env_arg", varying=r"np\.\w+\(1\)"):
        Config(env_arg=given)


@pytest.mark.parametrize("word", ["gravity", "=1", "a=None"])
def test_words_of_another_form_are_refused(word, capsys, said):
    with pytest.raises(SystemExit):
        run("--env-arg", word)
    assert "arg" in said(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("env", "given"),
    [
        ("Walk-v0", "lenght"),
        ("Walk-v0", "wind"),
        ("CartPole-v0", "gravity"),
        ("gymnasium:CartPole-v1", "sutton_reward"),
    ],
)
def test_an_argument_that_there_is_not_is_told_with_those_that_there_are(env, given, refused):
    with refused(env, given):
        environments.make(env, **{given: 1})


def test_what_a_function_hands_on_is_told_by_whoever_takes_it(refused):
    with refused("Function-v0", "wind"):
        environments.make("Function-v0", length=3, wind=1)
    with refused("Function-v0", "length"):
        environments.make("Function-v0")


def test_libraries_and_functions_take_theirs():
    made = environments.make("gymnasium:CartPole-v1", sutton_barto_reward=True, max_episode_steps=3)
    made.reset(seed=1)
    assert [made.step(0)[1:4] for _ in range(3)] == [(0.0, False, False), (0.0, False, False), (0.0, False, True)]
    assert environments.make("Function-v0", length=4, pay=2.0).unwrapped.pay == 2.0
    assert environments.make("Walk-v0", "rgb_array", length=3).unwrapped.length == 3


# Through the commands


@pytest.mark.long
def test_they_are_kept_in_files_and_used_again_only_if_they_are_given_again_or_trusted(capsys, said, refused):
    assert run("--env-arg", "length=3", "--env-arg", "pay=2", "--env-arg", "names=[1, true]") == 0
    assert set(map(str, Walk.made)) == {"(3, 2, [1, True])"}
    arguments = {"length": 3, "pay": 2, "names": [1, True]}
    assert settings()["env_arg"] == arguments
    file = "checkpoints/dqn_Walk-v0_best.h5f"
    assert weights.read(file).metadata["env_arg"] == arguments
    assert TrainingState("checkpoints/dqn_Walk-v0_state").load()["metadata"]["env_arg"] == arguments
    capsys.readouterr()

    typed = ["--env-arg", *words(arguments)]
    for command, options in {
        "test": ["--weights", file, "--episodes", "1"],
        "train": ["--resume", "--env", "Walk-v0", "--nb-steps", "40", "--verbose", "0"],
        "export": ["--weights", file, "--to", "agent.keras", "--episodes", "1"],
    }.items():
        with pytest.raises(SystemExit) as stop:
            run_command(command, options)
        assert stop.value.code == 2 and "length=3" in said(capsys.readouterr().err)
        Walk.made.clear()
        assert run_command(command, [*options, *typed]) == 0
        assert set(map(str, Walk.made)) == {"(3, 2, [1, True])"}
    with refused("env_arg={'length': 3"):
        Config.load(file="logs/dqn_Walk-v0_config.toml")
    again = Config.load(file="logs/dqn_Walk-v0_config.toml", env_arg=arguments)
    assert (again.env_arg, again.nb_steps) == (arguments, 40)
    with refused("env_arg={'length': 3"):
        play(file, 1)
    assert play(file, 1, trust=True) == play(file, 1, env_arg=arguments) == [6.0]
    assert play(file, 1, env_arg={"length": 4}) == [4.0]  # in place of all
    assert play(file, 1, env=lambda: Walk(2)) == [2.0]
    gym.register("Other-v0", Walk)
    assert play(file, 1, env="Other-v0") == [5.0]  # which has its own
    del gym.envs.registration.registry["Other-v0"]


@pytest.mark.long
def test_a_training_plays_in_what_it_was_trained_in_whatever_names_it():
    Path("walks.py").write_text(f"import gym, {__name__} as own\ngym.register('Mine-v0', own.Walk)\n")
    trained = train(Config(**FEW, env="walks:Mine-v0", env_arg={"length": 3}))
    assert trained.play(1) == [3.0]
    trained = train(Config(**FEW, env_arg={"length": 4}), env=Walk)
    assert trained.play(1) == [4.0]
    sys.modules.pop("walks")
    del gym.envs.registration.registry["Mine-v0"]


def test_an_object_takes_none(refused):
    with refused("env_arg"):
        train(Config(**FEW, env_arg={"length": 3}), env=Walk())


def test_a_preset_or_file_has_them_as_a_table(tmp_path):
    Path("mine.toml").write_text('env = "Walk-v0"\nenv_arg = {length = 3}\n')
    assert Config.load(file="mine.toml", trust=True).env_arg == {"length": 3}
    Path("mine.toml").write_text("[env_arg]\nlength = 3\n[eval_env_arg]\nlength = 4\n")
    found = Config.load(file="mine.toml", trust=True)
    assert (found.env_arg, found.eval_env_arg) == ({"length": 3}, {"length": 4})


# Environments to evaluate in


@pytest.mark.long
def test_evaluations_take_place_in_another_environment_whose_threshold_counts(capsys):
    gym.register("Other-v0", Walk, reward_threshold=4.0)
    assert run("--eval-env", "Other-v0", "--eval-env-arg", "length=4", "--stop-when-solved", "--verbose", "1") == 0
    assert "solved: mean reward of 100 greedy episodes 4.00, at least 4" in capsys.readouterr().out
    log = json.loads(Path("logs/dqn_Walk-v0_log.json").read_text())
    assert log["episode_reward"] == [5.0, 5.0] and log["evaluation_reward"] == [None, 4.0]
    found = settings()
    assert (found["eval_env"], found["eval_env_arg"], found["run"]["reward_threshold"]) == (
        "Other-v0",
        {"length": 4},
        4,
    )
    assert play("checkpoints/dqn_Walk-v0_best.h5f", 1) == [5.0]  # test.py plays where it was trained
    del gym.envs.registration.registry["Other-v0"]


@pytest.mark.long
def test_other_arguments_alone_are_those_of_the_same_environment_and_films_are_taken_there():
    there = {"env": "Walk-v0", "env_arg": {"pay": 2.0, "length": 3}, "eval_env_arg": {"length": 6}, "record_every": 20}
    trained = train(Config(**FEW, **there))
    assert trained.best == trained.last == (12.0, 30)
    assert trained.files.progress_film.read_bytes().startswith(b"GIF")
    assert train(Config(**{**FEW, "nb_steps": 40}, **there, resume=True)).best == (12.0, 40)


@pytest.mark.parametrize("name", ["Turn-v0", "Later-v0", "Acrobot-v1", "Walk-v7"])
def test_one_that_does_not_fit_is_refused(name, refused, tmp_path):
    with refused(name):
        train(Config(**FEW, env="Walk-v0", eval_env=name))
    with refused(name):
        tune(Config(**FEW, env="Walk-v0", eval_env=name), seeds=2)
    assert not list(tmp_path.rglob("dqn*"))


@pytest.mark.parametrize("setting", [{"eval_env": "Walk-v0"}, {"eval_env_arg": {"length": 3}}], ids=str)
def test_it_needs_evaluations(setting, refused):
    with refused("eval_env"):
        Config(**setting, eval_interval=0)


@pytest.mark.long
def test_a_failure_there_comes_before_any_file_is_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(TrainingRun, "_rehearse", REHEARSE)

    class Failing(Walk):
        def step(self, action):
            raise ZeroDivisionError

    gym.register("Unbuilt-v0", Failing)
    with pytest.raises(ZeroDivisionError):
        train(Config(**FEW, env="Walk-v0", eval_env="Unbuilt-v0"))
    del gym.envs.registration.registry["Unbuilt-v0"]
    assert not list(tmp_path.rglob("dqn*"))


def test_what_a_file_names_to_evaluate_in_is_not_imported(refused):
    Path("trap.py").write_text("import pathlib\npathlib.Path('sprung').touch()\n")
    Path("strange.toml").write_text('eval_env = "trap:Trap-v0"\n')
    with refused("eval_env='trap:Trap-v0'"):
        Config.load(file="strange.toml")
    assert not Path("sprung").exists()


@pytest.mark.long
def test_many_trainings_are_judged_there():
    config = Config(**FEW, env="Walk-v0", env_arg={"pay": 3.0}, eval_env="Walk-v0", eval_env_arg={"length": 2})
    assert checked(config)[1] == 7.0
    job = Job("seed 3", config, (3,), Path("runs"), True, ("tune",))
    assert work(job, lambda news: True) == ""
    assert read_result(Path("runs/seed-3"))["mean_best"] == 2.0

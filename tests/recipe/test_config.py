"""Settings: presets, files, options, what is printed of them and what is wrong with them."""

import dataclasses
import re
import sys

import pytest

from kerasrl import Config
from kerasrl.cli.layers import parse_config
from kerasrl.cli.options import parse
from kerasrl.config.commands import PlayConfig
from kerasrl.config.files import PRESETS, to_toml
from kerasrl.config.settings import GROUPS
from kerasrl.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAMES = sorted(file.stem for file in PRESETS.glob("*.toml"))


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "own.toml"
        path.write_text(text)
        return path

    return write


def test_groups_hold_every_setting_once():
    names = [field.name for group in GROUPS for field in dataclasses.fields(group)]
    assert names == [field.name for field in dataclasses.fields(Config)]
    assert len(names) == len(set(names))


# Order


def test_options_override_a_file_overrides_a_preset_overrides_the_defaults(file):
    path = file("gamma = 0.5\nlearning_rate = 0.25\nbatch_size = 8\n")
    words = ["--preset", "cartpole-3x24", f"--config={path}", "--batch-size", "4", "--eps-min", "0.1"]
    found = parse_config(words, "train.py")
    expected = dataclasses.replace(
        Config.load("cartpole-3x24"), gamma=0.5, learning_rate=0.25, batch_size=4, eps_min=0.1
    )
    assert found.config == expected
    preset, own, options = found.told
    assert preset.startswith("preset cartpole-3x24: hidden_layers 24 24 24, ")
    assert own == f"file {path}: gamma 0.5, learning_rate 0.25 instead of 0.005, batch_size 8 instead of 64"
    assert options == "options: eps_min 0.1 instead of 0.01, batch_size 4 instead of 8"


def test_nothing_is_told_of_the_defaults():
    assert parse_config([], "train.py").told == ()


def test_load_does_the_same_from_python(file):
    path = file("gamma = 0.5\n")
    found = Config.load(preset="cartpole-v1", file=path, seed=3)
    assert found == Config(env="CartPole-v1", eval_episodes=3, gamma=0.5, seed=3)
    assert Config.load() == Config()


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ("--stop-at -100", {"stop_at": -100.0}),
        ("--stop-at -1e3", {"stop_at": -1000.0}),
        ("--stop-at=-.5 --stop-at None", {}),
        ("--hidden-layers 64 32 --seed=3", {"hidden_layers": (64, 32), "seed": 3}),
        ("--hidden-layers", {"hidden_layers": ()}),
        ("--batch_size=3 --batch-size 4", {"batch_size": 4}),
        ("--nb-steps 50_001", {"nb_steps": 50_001}),
        ("--nb-steps 2e6 --memory-limit 1.5E+05", {"nb_steps": 2_000_000, "memory_limit": 150_000}),
        ("--seed 1e3 --hidden-layers 1e2 8 --gamma 1e-1", {"seed": 1000, "hidden_layers": (100, 8), "gamma": 0.1}),
        ("--visualize --enable_double_dqn --no-visualize --", {"enable_double_dqn": True}),
        ("--log-dir=-x --checkpoint-dir -5 --env é", {"log_dir": "-x", "checkpoint_dir": "-5", "env": "é"}),
    ],
)
def test_how_options_are_written(words, settings):
    assert parse_config(words.split(), "train.py").config == Config(**settings)


# Files


def test_all_settings_survive_a_file(file):
    settings = Config(
        env="a:B-v0", hidden_layers=(3,), seed=4, stop_at=-1.5, delta_clip=2.0, eps_schedule="exponential",
        network="m:f", visualize=True, callback=("a:A", "b:B"), max_time="2h30m",
        env_arg={"a": [1, "x"], "b": {"c": 0.5}}, eval_env_arg={"d": True},
    )  # fmt: skip
    path = file(to_toml(settings, {"command": "python train.py", "reward_threshold": 1.0}))
    assert Config.load(file=path, trust=True) == dataclasses.replace(settings, trust=True)
    assert Config.load(file=file(to_toml(Config(), {}))) == Config()  # with None and inf
    assert tomllib.loads(to_toml(settings, {"command": "x y"}))["run"] == {"command": "x y"}


@pytest.mark.parametrize(
    "text",
    [
        *("nb_step = 3", "qqqqqq = 3", "[learning]\ngamma = 1", 'nb_steps = "3"', "nb_steps = 3.5", "nb_steps = true"),
        *('gamma = "x"', "visualize = 1", "env = 3", "hidden_layers = 16", 'hidden_layers = ["a"]'),
        *('optimizer = "adamm"', 'stop_at = "x"', "gamma = 1.5", "eval_episodes = 0"),
    ],
)
def test_a_mistake_in_a_file_names_file_key_and_cure(file, text, refused):
    path = file(text)
    with refused(path, re.match(r"\W*(\w+)", text)[1]):
        Config.load(file=path)


def test_files_that_cannot_be_read(file, tmp_path, refused):
    with refused("nothing.toml"):
        Config.load(file=tmp_path / "nothing.toml")
    with refused(tmp_path):
        Config.load(file=tmp_path)
    with pytest.raises(UserError, match=r"own\.toml is not TOML: Invalid value"):
        Config.load(file=file("gamma = "))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="binary is not TOML"):
        Config.load(file=tmp_path / "binary")


@pytest.mark.parametrize(
    "settings",
    [
        {"network": "model"},
        *({"processor": ":x"}, {"processor": "x:"}, {"processor": "::x"}),
        *({"eval_interval": 0, "stop_when_solved": True}, {"eval_interval": 0, "record_every": 5}),
        *({"eps_rate": 0.0}, {"delta_clip": 0.0}, {"optimizer": "adamw"}, {"env": ""}, {"seed": 2**32}),
        *({"nb_steps": "many"}, {"nb_steps": 1e4 + 0.5}, {"nb_steps": 2**31}, {"threads": -1}),
        *({"gamma": float("nan")}, {"learning_rate": float("inf")}, {"stop_at": float("-inf")}),
        *({"target_model_update": 2.0**31}, {"hidden_layers": 24}, {"hidden_layers": (8, 0)}),
        *({"learning_rate_end": 0.5}, {"eps_max": 0.25, "eps_min": 0.5}, {"n_step": 0}),
        *({"memory_limit": 2}, {"n_step": 5, "memory_limit": 5}, {"memory": "priority"}, {"priority_alpha": 0.7}),
        {"priority_epsilon": 0.1, "priority_nb_steps": 5},
        {"memory": "prioritized", "priority_alpha": 1.5},
        {"memory": "prioritized", "priority_beta_end": 0.3},
    ],
    ids=str,
)
def test_impossible_values(settings, refused):
    with refused([*settings][-1]):
        Config(**settings)


def test_values_that_python_takes_for_equal(refused):
    assert Config(hidden_layers=[24, 24], gamma=1) == Config(hidden_layers=(24, 24), gamma=1.0)
    assert isinstance(Config(gamma=1).gamma, float)
    with refused("gama"):
        Config.load(gama=1)


# Presets


@pytest.mark.parametrize("preset", NAMES)
def test_a_preset_holds_differences_and_says_why(preset):
    text = (PRESETS / f"{preset}.toml").read_text()
    comment = re.match(r"(# .+\n)+", text)[0]
    assert re.search(r"[Tt]uned", comment)
    assert "esult" in comment or "not run to its end" in comment
    settings = tomllib.loads(text)
    assert len(settings) <= 20
    assert "seed" not in settings
    assert "env" in settings


def test_the_preset_cartpole_is_the_defaults():
    assert Config.load("cartpole") == Config()


def test_the_other_tutorials_numbers():
    tutorial = {
        "hidden_layers": (24, 24, 24), "activation": "relu", "optimizer": "rmsprop", "learning_rate": 0.005,
        "delta_clip": float("inf"), "memory_limit": 50_000, "batch_size": 64, "gamma": 0.99, "eps_max": 1.0,
        "eps_min": 0.01, "eps_schedule": "exponential", "eps_rate": 0.0005, "target_model_update": 1,
    }  # fmt: skip
    found = dataclasses.asdict(Config.load("cartpole-3x24"))
    assert {name: found[name] for name in tutorial} == tutorial


def test_an_unknown_preset_is_told_with_the_nearest(refused):
    with refused("cartpole"):
        Config.load("cartpol")
    with refused("../x", *NAMES):
        Config.load("../x")


def test_help_of_a_single_dataclass(capsys):
    with pytest.raises(SystemExit) as stop:
        parse(PlayConfig, ["--help", "--weight"], "test.py")
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert out.isascii()
    out = " ".join(out.split())
    assert re.match(r"usage: \S+ --weights FILE \[OPTIONS\] Play with saved weights\.", out)
    assert (
        "tutorial's model; of a pair, either file. (required) --episodes INT Episodes to play. (at least 1, default: 5)"
        in out
    )
    assert "--seed INT Seed of the episodes. Without it, they are random. (between 0 and 4294967295)" in out
    assert out.endswith("Whole numbers may also be written as 50_000 or 5e4.")


def test_help_shows_groups_bounds_and_a_presets_values(capsys):
    with pytest.raises(SystemExit) as stop:
        parse_config(["--preset", "cartpole-3x24", "--help"], "train.py")
    assert stop.value.code == 0
    out = " ".join(capsys.readouterr().out.split())
    groups = [group.__name__.removesuffix("Settings").lower() for group in GROUPS]
    assert re.findall(r"(\w+) options:", out) == ["start", *groups]
    assert "(default: rmsprop)" in out
    for written in (
        "--gamma FLOAT Discount factor. (between 0 and 1, default: 0.99)",
        "--learning-rate FLOAT Learning rate of the optimizer. (positive, default: 0.005)",
        "--batch-size INT Transitions in an update. (at least 1, default: 64)",
        "--hidden-layers [INT ...] Nodes of each hidden layer. (between 1 and 65536, default: 24 24 24)",
        "--verbose {0,1,2} 0: errors only.",
        "--seed INT Seed of all random numbers. Without it, one is drawn and printed. (between 0 and 4294967295)",
        "--stop-at REWARD Stop once the mean of 100 greedy episodes reaches this reward. --play",
        "--visualize, --no-visualize Show the environment in a window, at natural speed. (default: False)",
    ):
        assert written in out, written
    assert len(list(PRESETS.iterdir())) == len(NAMES)

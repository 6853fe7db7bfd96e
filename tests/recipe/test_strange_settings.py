"""Settings, logs and names from files that were made to hurt: one line that names the file, before memory is taken."""

import json
import os

import h5py
import numpy as np
import pytest

from kerasrl import Config, plot
from kerasrl.config.commands import PlayConfig
from kerasrl.config.resuming import resumed
from kerasrl.diagnosis import describe
from kerasrl.errors import UserError
from kerasrl.storage.files import seal
from kerasrl.tools.play import run as play
from kerasrl.tools.plot.logs import groups_of, read_log


def sealed(path, metadata):
    """Write weights with these settings as this project does, seal and all."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.attrs["layer_names"], file.attrs["kerasrl"] = [b"dense"], json.dumps(metadata)
        file["dense/kernel"] = np.ones((4, 2), np.float32)
        file["dense"].attrs["weight_names"] = [b"kernel"]
    path.write_bytes(seal(b"kerasrl weights 1", path.read_bytes()[512:]))
    return path


PLAY_WITH_ENV = (
    " was trained with env given as objects, which no file holds; play it from Python: play('{path}', env=...), "
    "or name an environment: env=..."
)
ANOTHER_NETWORK = " does not fit CartPole-v0: the weights are another network's: the file has 4x2, the model 4x9, 9x2"
SETTINGS = {
    "a list": ([1, 2], ": the settings are not a table"),
    "17 GB a layer": (
        {"hidden_layers": [65_536] * 50},
        ": hidden_layers must be at most 100 with 134,217,728 weights between them; there are 50 with 210,453,397,504",
    ),
    "20,000 layers": (
        {"hidden_layers": [1] * 20_000},
        ": hidden_layers must be at most 100 with 134,217,728 weights between them; there are 20,000 with 19,999",
    ),
    "more than the file has": (
        {"hidden_layers": [4_096, 4_096]},
        " does not fit CartPole-v0: the file has 8 weights, its settings describe a network of 16,801,792",
    ),
    "long window": (
        {"window_length": 2**31 - 1, "memory_limit": 2**31 - 1},
        ": window_length must be between 1 and 1000, is 2147483647",
    ),
    "threads": ({"threads": 2**31 - 1}, ": threads must be between 0 and 1024, is 2147483647"),
    "batch": (
        {"batch_size": 2**20, "gradient_steps": 2},
        ": batch_size * gradient_steps must be at most 1,048,576, is 2,097,152",
    ),
    "digits": ({"seed": 10**4_000}, f": seed must be between 0 and 4294967295, is 1{'0' * 199}..."),
    "control characters": (
        {"env": "\x1b[2JCartPole-v0"},
        ": env must not contain control characters, is '\\x1b[2JCartPole-v0'",
    ),
    "names of objects": ({"objects": ["x", ["env"], "env"], "env": "x"}, PLAY_WITH_ENV),
    "number of objects": ({"objects": 5, "hidden_layers": [9]}, ANOTHER_NETWORK),
    "nested": ({"env": eval("[" * 80 + "]" * 80)}, f": env must be text in quotes, is {'[' * 80}{']' * 80}"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_ask_for_everything_are_refused_before_it_is_taken(tmp_path, name):
    metadata, said = SETTINGS[name]
    path = sealed(tmp_path / "w.h5f", metadata)
    with pytest.raises(UserError) as caught:
        play(PlayConfig(weights=str(path)))
    assert str(caught.value) == f"{path}{said}".replace("{path}", str(path))


@pytest.mark.parametrize(
    ("metadata", "end"),
    [
        ({"env": "a" * 10**5}, "aaa'; name one of your own as module:Name-v0"),
        ({"env": f"m:{'a' * 10**5}"}, "aaa', or trust=True, if you trust it"),
        ({"activation": "a" * 10**5}, "aaa is unknown to Keras; relu, tanh and elu are common"),
    ],
    ids=["environment", "module", "activation"],
)
def test_a_long_name_is_cut_and_the_cure_stays(tmp_path, metadata, end):
    with pytest.raises(UserError) as caught:
        play(PlayConfig(weights=str(sealed(tmp_path / "w.h5f", metadata))))
    said = str(caught.value)
    assert said.endswith(end)
    assert len(said) == len(f"{'a' * 500} ... {'a' * 300}")


def test_what_cannot_be_resumed_is_cut(tmp_path):
    said = r"^cannot resume with different settings: env is x here but was a{200} there$"
    with pytest.raises(UserError, match=said):
        resumed(Config(env="x"), None, {"env": "a" * 10**5})


def test_a_test_needs_no_memory_for_what_is_replayed(tmp_path):
    path = sealed(tmp_path / "w.h5f", {"hidden_layers": [], "memory_limit": 2**31 - 1})
    with pytest.raises(UserError, match="another network's"):  # 37 GB, were it taken
        play(PlayConfig(weights=str(path)))


TOML = {
    "deep": ("hidden_layers = " + "[" * 100_000, "is not TOML: "),
    "digits": (f"seed = {'1' * 5_000}", "is not TOML: "),
    "hexadecimal digits": (
        f"seed = 0x{'1' * 5_000}",
        ": seed must be between 0 and 4294967295, is too long to be shown",
    ),
    "digits of a fraction": (f"gamma = 0x{'1' * 5_000}", ": gamma must be a number, is too long to be shown"),
    "name twice": (f"[{'a' * 10_000}]\n" * 2, f"is not TOML: Cannot declare ('{'a' * 100}"),
    "long name": (f"{'a' * 10_000} = 1", f": there is no setting '{'a' * 199}...; help(kerasrl.Config) lists them"),
    "control characters": ('env = "\\u001b[2J"', ": env must not contain control characters, is '\\x1b[2J'"),
    "large": ("#" * 2**21, "cannot be read: it is larger than 1,048,576 bytes"),
}


@pytest.mark.parametrize("name", TOML)
def test_toml_that_was_made_to_hurt_is_one_line(tmp_path, name):
    content, said = TOML[name]
    (tmp_path / "x.toml").write_text(content)
    with pytest.raises(UserError) as caught:
        Config.load(file=tmp_path / "x.toml")
    assert str(caught.value).startswith(str(tmp_path / "x.toml"))
    assert said in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_pipe_is_no_configuration(tmp_path):
    os.mkfifo(tmp_path / "x.toml")
    with pytest.raises(UserError, match=r"x\.toml cannot be read: it is a pipe or a device"):
        Config.load(file=tmp_path / "x.toml")


def test_errors_do_nothing_to_a_terminal():
    text = "weights \x1b[2J\x07\u202e\nof \udce4"
    escaped = "weights \\x1b[2J\\x07\\u202e"
    assert str(UserError(text)) == f"{escaped}\\nof \\udce4"
    assert describe(RuntimeError(text)) == f"RuntimeError: {escaped} of \\udce4"
    assert str(UserError("\U000e0001" * 10**5)) == r"\U000e0001" * 50 + " ... " + r"\U000e0001" * 30


# Logs

GOOD = {"episode_reward": [1.0, 2.0], "nb_steps": [10, 20]}


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("[" * 100_000, "is not JSON: it is nested too deeply"),
        (f'{{"nb_steps": {"1" * 5_000}}}', "is not JSON: "),
        (json.dumps({**GOOD, "nb_steps": 5}), "is damaged: its lists differ in length"),
        (json.dumps({**GOOD, "nb_steps": [10, 10**400]}), "is damaged: it holds something other than numbers"),
        (json.dumps({**GOOD, "nb_steps": [10, 1e300]}), "is damaged: it holds numbers too large to be drawn"),
        (json.dumps({**GOOD, "episode_reward": [1, 1e300]}), "is damaged: it holds numbers too large to be drawn"),
    ],
    ids=["deep", "digits", "no list", "long number", "many steps", "large reward"],
)
def test_logs_that_were_made_to_hurt_are_one_line(tmp_path, log, said):
    (tmp_path / "x_log.json").write_text(log)
    with pytest.raises(UserError) as caught:
        plot([tmp_path / "x_log.json"])
    assert str(caught.value).startswith(f"{tmp_path / 'x_log.json'} {said}")


@pytest.mark.parametrize(
    "config",
    ["a = " + "[" * 100_000, f"a = 0x{'1' * 5_000}", f"[{'a' * 10_000}]\n" * 2, None],
    ids=["deep", "digits", "name twice", "pipe"],
)
def test_settings_beside_a_log_that_were_made_to_hurt_are_one_line(tmp_path, config):
    (tmp_path / "x_log.json").write_text(json.dumps(GOOD))
    if config is None:
        os.mkfifo(tmp_path / "x_config.toml")
    else:
        (tmp_path / "x_config.toml").write_text(config)
    with pytest.raises(UserError) as caught:
        plot([tmp_path / "x_log.json"])
    assert str(caught.value).startswith(f"{tmp_path / 'x_config.toml'} ")
    assert len(str(caught.value)) < 500


def test_names_reach_a_picture_short_and_without_control_characters(tmp_path):
    (tmp_path / "x_log.json").write_text(json.dumps(GOOD))
    (tmp_path / "x_config.toml").write_text(f'env = "\\u001b[2J{"a" * 500_000}"\n[run]\nreward_threshold = inf\n')
    run = read_log(tmp_path / "x_log.json", None)
    ((label, _),) = groups_of([run])
    assert label.startswith("?[2Jaaa")
    assert len(label) < 320
    assert plot([tmp_path / "x_log.json"]).exists()

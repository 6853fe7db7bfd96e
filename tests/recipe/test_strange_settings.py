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


SETTINGS = {
    "a list": [1, 2],
    "17 GB a layer": {"hidden_layers": [65_536] * 50},
    "20,000 layers": {"hidden_layers": [1] * 20_000},
    "more than the file has": {"hidden_layers": [4_096, 4_096]},
    "long window": {"memory_limit": 2**31 - 1, "window_length": 2**31 - 1},
    "threads": {"threads": 2**31 - 1},
    "batch": {"batch_size": 2**20, "gradient_steps": 2},
    "digits": {"seed": 10**4_000},
    "control characters": {"env": "\x1b[2JCartPole-v0"},
    "names of objects": {"objects": ["x", ["env"], "env"], "env": "x"},
    "number of objects": {"objects": 5, "hidden_layers": [9]},
    "nested": {"env": eval("[" * 80 + "]" * 80)},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_ask_for_everything_are_refused_before_it_is_taken(tmp_path, refused, name):
    path = sealed(tmp_path / "w.h5f", SETTINGS[name])
    with refused(path):
        play(PlayConfig(weights=str(path)))


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
    "deep": "hidden_layers = " + "[" * 100_000,
    "digits": f"seed = {'1' * 5_000}",
    "name twice": f"[{'a' * 10_000}]\n" * 2,
    "hexadecimal digits": f"seed = 0x{'1' * 5_000}",
    "digits of a fraction": f"gamma = 0x{'1' * 5_000}",
    "long name": f"{'a' * 10_000} = 1",
    "control characters": 'env = "\\u001b[2J"',
    "large": "#" * 2**21,
    "dotted": f"{'a.' * 20}a = 1",
    "dotted, with texts": f"""{'"a" . ' * 20}a = 1""",
    "dotted table": f"[[ {'1.' * 20}1 ]]",
    "dotted in a table": f"seed = {{{'a.' * 20}a = 1}}",
}


@pytest.mark.parametrize("name", TOML)
def test_toml_that_was_made_to_hurt_is_one_line(tmp_path, said, name):
    (tmp_path / "x.toml").write_text(TOML[name])
    with pytest.raises(UserError) as caught:
        Config.load(file=tmp_path / "x.toml")
    text = said(caught.value, r"(?<=is not TOML: )(?!Cannot).*")  # Python's words
    assert text.startswith(str(tmp_path / "x.toml")) and len(text) < 500 and "\n" not in text


def test_a_pipe_is_no_configuration(tmp_path, refused):
    os.mkfifo(tmp_path / "x.toml")
    with refused("x.toml"):
        Config.load(file=tmp_path / "x.toml")


def test_errors_do_nothing_to_a_terminal():
    text = "weights \x1b[2J\x07\u202e\nof \udce4"
    escaped = "weights \\x1b[2J\\x07\\u202e"
    assert str(UserError(text)) == f"{escaped}\\nof \\udce4"
    assert describe(RuntimeError(text)) == f"RuntimeError: {escaped} of \\udce4"
    assert str(UserError("\U000e0001" * 10**5)) == r"\U000e0001" * 50 + " ... " + r"\U000e0001" * 30


# Logs

GOOD = {"episode_reward": [1.0, 2.0], "nb_steps": [10, 20]}


LOGS = {
    "deep": "[" * 100_000,
    "digits": f'{{"nb_steps": {"1" * 5_000}}}',
    "no list": json.dumps({**GOOD, "nb_steps": 5}),
    "long number": json.dumps({**GOOD, "nb_steps": [10, 10**400]}),
    "many steps": json.dumps({**GOOD, "nb_steps": [10, 1e300]}),
    "large reward": json.dumps({**GOOD, "episode_reward": [1, 1e300]}),
}


@pytest.mark.parametrize("name", LOGS)
def test_logs_that_were_made_to_hurt_are_one_line(tmp_path, refused, name):
    (tmp_path / "x_log.json").write_text(LOGS[name])
    with refused(tmp_path / "x_log.json", varying=r"(?<=is not JSON: )Exceeds.*"):
        plot([tmp_path / "x_log.json"])


@pytest.mark.parametrize(
    "config",
    [f"{'a.' * 20}a = 1", "#" * 2**21, "a = " + "[" * 100_000, f"a = 0x{'1' * 5_000}", f"[{'a' * 10_000}]\n" * 2, None],
    ids=["dotted", "large", "deep", "digits", "name twice", "pipe"],
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

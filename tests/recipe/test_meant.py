"""Words that a command does not know: what was probably meant is said, by meaning before likeness."""

import inspect
import pydoc
from dataclasses import fields

import pytest

from kerasrl import CEMConfig, Config, DDPGConfig
from kerasrl.cli import meant
from kerasrl.cli.door import _parse
from kerasrl.cli.layers import parse_config
from kerasrl.config.files import PRESETS
from kerasrl.config.other_names import OTHER_NAMES
from kerasrl.errors import UserError

COMMANDS = ("train", "test", "plot", "export", "new", "tune", "clear")


@pytest.mark.parametrize(
    ("command", "words", "instead"),
    [
        ("train", "--lr 0.1", "--learning-rate"),
        ("train", "--lr=0.1", "--learning-rate"),
        ("train", "--LR 0.1", "--learning-rate"),
        ("train", "--epochs 3", "--nb-steps"),
        ("train", "--total_timesteps 3", "--nb-steps"),
        ("train", "--gpu", "--device gpu"),
        ("train", "--time-limit 3", "--nb-max-episode-steps"),
        ("train", "--weights x.h5f", "--start-from"),
        ("train", "CartPole-v1", "--env CartPole-v1"),
        ("train", "acrobot", "--preset acrobot"),
        ("train", "own.toml", "--config own.toml"),
        ("train", "--learning-rat 1", "--learning-rate"),
        ("train", "--epochs 3 --lr 1", "--nb-steps and --learning-rate"),
        ("test", "x.h5f", "--weights x.h5f"),
        ("test", "--model x.h5f", "--weights"),
        ("test", "--n-episodes 3", "--episodes"),
        ("test", "CartPole-v1", "--env CartPole-v1"),
        ("export", "x.h5f y.onnx", "--weights x.h5f and --to y.onnx"),
        ("tune", "--n-jobs 3", "--jobs"),
        ("plot", "logs --output x.png", "--out"),
    ],
)
def test_what_was_meant_is_said(command, words, instead):
    with pytest.raises(UserError) as error:
        _parse(command, words.split(), command, "dqn")
    assert str(error.value).endswith(f"; did you mean {instead}?")


def test_what_resembles_nothing_is_left_to_help():
    with pytest.raises(UserError) as error:
        parse_config(["--qqqqqqqq", "3"], "train.py")
    assert str(error.value) == "unknown option: --qqqqqqqq; see --help"


def test_an_option_that_is_proposed_exists(monkeypatch):
    seen = set()

    def collect(word, options):
        seen.update(options)
        return ""

    monkeypatch.setattr(meant, "option_meant", collect)
    for command in COMMANDS:
        with pytest.raises(UserError):
            _parse(command, ["--qqqqqqqq"], command, "dqn")
    for other, names in OTHER_NAMES.items():
        assert any(f"--{name.partition(' ')[0]}" in seen for name in names), other


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("lr", "did you mean learning_rate?"),
        ("prioritized", "did you mean memory = 'prioritized'?"),
        ("quiet", "did you mean verbose = 0?"),
        ("n_envs", "help(kerasrl.Config) lists them all"),  # which there is nothing for
    ],
)
def test_what_was_meant_is_said_in_python_and_of_a_file(setting, hint, tmp_path):
    (tmp_path / "own.toml").write_text(f"{setting} = 1")
    for call in (lambda: Config(**{setting: 1}), lambda: Config.load(file=tmp_path / "own.toml")):
        with pytest.raises(UserError) as error:
            call()
        assert str(error.value).endswith(f"there is no setting {setting!r}; {hint}")


@pytest.mark.parametrize("words", [["--preset"], ["--seed", "3", "--preset"], ["--help"]])
def test_the_presets_are_listed_with_a_line_each(words, capsys):
    with pytest.raises(SystemExit) as end:
        parse_config(words, "train.py")
    lines = capsys.readouterr().out.splitlines()
    lines = lines[lines.index("presets:") + 1 :]
    assert not end.value.code
    assert [line.split()[0] for line in lines] == sorted(file.stem for file in PRESETS.glob("*.toml"))
    assert all(len(line.split()) > 1 for line in lines)


@pytest.mark.parametrize("kind", [Config, DDPGConfig, CEMConfig])
def test_help_in_python_lists_each_setting_with_its_meaning(kind):
    shown = pydoc.render_doc(kind, renderer=pydoc.plaintext)
    for field in fields(kind):
        if field.name != "agent":
            text = field.type.__metadata__[-1].split()[:3]
            assert f"{field.name} = {getattr(kind(), field.name)!r}: {' '.join(text)}" in " ".join(
                shown.split()
            ).replace(" | ", " ")
    assert "Annotated" not in shown and "Meta(" not in shown
    assert list(inspect.signature(kind).parameters) == [field.name for field in fields(kind)]

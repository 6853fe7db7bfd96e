"""The agents as the commands know them: `--agent`, settings, files, and what is said where two things do not fit."""

import dataclasses
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from gym import spaces

from kerasrl import CEMConfig, Config, DDPGConfig, NAFConfig, RunFiles, SARSAConfig, train
from kerasrl.cli.door import run as run_command
from kerasrl.cli.layers import parse_config
from kerasrl.config.agents import AGENTS
from kerasrl.config.commands import PlayConfig
from kerasrl.config.files import to_toml
from kerasrl.config.resuming import from_metadata
from kerasrl.errors import WeightsError
from kerasrl.phrases import shell
from kerasrl.storage import weights
from kerasrl.tools.tune import worker
from kerasrl.tools.tune.space import read_space
from kerasrl.training.files import agent_to_resume
from kerasrl.training.networks import warn_of
from kerasrl.training.own_parts import OwnParts
from kerasrl.training.saved import find

ROOT = Path(__file__).parents[2]
KINDS = [kind.settings for kind in AGENTS.values()]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configured(words):
    return parse_config(words.split(), "train.py").config


# Settings


@pytest.mark.parametrize("kind", KINDS)
def test_groups_hold_every_setting_once(kind):
    names = [field.name for group in kind.groups for field in dataclasses.fields(group)]
    assert sorted(names) == sorted(field.name for field in dataclasses.fields(kind) if field.name != "agent")
    assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", KINDS)
def test_all_settings_survive_a_file_and_the_metadata_of_another(kind, tmp_path):
    settings = kind(seed=4, visualize=True, nb_steps=7)
    path = tmp_path / "own.toml"
    path.write_text(to_toml(settings, {"command": "python train.py"}))
    assert Config.load(file=path, trust=True) == kind.load(file=path, trust=True) == dataclasses.replace(
        settings, trust=True
    )  # fmt: skip
    assert from_metadata(json.loads(json.dumps(dataclasses.asdict(settings)))) == settings


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ("", Config()),
        ("--agent ddpg", DDPGConfig()),
        ("--nb-steps 5 --agent=naf", NAFConfig(nb_steps=5)),
        ("--agent sarsa --policy eps --eps-min 0.2", SARSAConfig(policy="eps", eps_min=0.2)),
        ("--agent cem --elite-frac 0.5", CEMConfig(elite_frac=0.5)),
        ("--preset pendulum-naf --gamma 0.9", Config.load("pendulum-naf", gamma=0.9)),
        ("--preset cartpole --agent sarsa", SARSAConfig()),
    ],
)
def test_an_option_or_a_file_names_the_agent(words, settings):
    assert configured(words) == settings
    assert type(configured(words)) is type(settings)


def test_from_python_the_agent_is_named_in_the_same_ways(refused):
    assert Config.load(agent="cem", nb_steps=3) == CEMConfig.load(nb_steps=3) == CEMConfig(nb_steps=3)
    assert isinstance(Config.load("pendulum"), DDPGConfig)
    with refused("presets/pendulum.toml has the settings of ddpg, not of naf"):
        NAFConfig.load("pendulum")
    with refused("td3"):
        Config.load(agent="td3")
    with refused("ddpg", "cem"):
        DDPGConfig.load(agent="cem")


def test_a_recipe_of_ones_own_has_an_agent_that_options_and_files_override():
    assert parse_config(["--nb-steps", "3"], "train.py", "cem").config == CEMConfig(nb_steps=3)
    for words, kind in ((["--agent", "sarsa"], SARSAConfig), (["--preset", "pendulum"], DDPGConfig)):
        assert isinstance(parse_config(words, "train.py", "cem").config, kind)


@pytest.mark.parametrize("text", ['agent = "td3"', "agent = 3", 'agent = "naf"', "eps_max = 0.5"])
def test_a_file_of_another_agent_is_refused(text, here, refused):
    Path("own.toml").write_text(text)
    with refused("own.toml"):
        configured("--agent ddpg --config own.toml")


@pytest.mark.parametrize(
    "words",
    [
        "--agent ddpg --enable-double-dqn",
        "--actor-learning-rate 0.1",
        "--agent cem --gamma 0.5",
        "--agent sarsa --n-step 3",
        "--agent td3",
        "--agent sarsa --eps-min 0.5",
        "--agent sarsa --policy eps --tau 2",
        "--agent ddpg --noise-dt 0.5",
        "--agent naf --noise-sigma-min 0.1",
        "--agent naf --priority-beta 0.5",
        "--agent ddpg --critic-hidden-layers 60000 60000",
        "--agent cem --batch-size 4",
        "--agent cem --elite-frac 0",
        "--agent ddpg --learning-rate-end 0.5",
        "--agent ddpg --memory-limit 3",
    ],
)
def test_what_an_agent_cannot_have_is_refused_by_name(words, refused):
    with shell(), refused():
        configured(words)


def test_from_python_a_setting_of_another_agent_is_refused_by_name(refused, tmp_path):
    with refused("n_step", "dqn, ddpg and naf, not of sarsa"):
        SARSAConfig.load(n_step=3)
    space = tmp_path / "space.toml"
    space.write_text("eps_min = {low = 0.1, high = 0.2}")
    with refused("eps_min"):
        read_space(space, CEMConfig(), {})


def test_a_space_varies_an_agents_own_settings():
    space = read_space(ROOT / "spaces/ddpg.toml", Config.load("pendulum"), {})
    assert {"actor_learning_rate", "noise_sigma"} < set(space)


@pytest.mark.parametrize("name", AGENTS)
def test_help_shows_the_settings_of_an_agent_together(name, capsys):
    with pytest.raises(SystemExit) as stop:
        parse_config(["--agent", name, "--help"], "train.py")
    assert stop.value.code == 0
    out = " ".join(capsys.readouterr().out.split())
    kind = AGENTS[name].settings
    assert f"Train Keras-RL's {name.upper()} agent" in out
    options = re.findall(r"(?<=\s)--([a-z0-9-]+)(?=[, ])", out)
    for field in dataclasses.fields(kind):
        if field.name != "agent":
            assert field.name.replace("_", "-") in options
    others = {field.name for other in KINDS for field in dataclasses.fields(other)}
    for other in others - {field.name for field in dataclasses.fields(kind)} - {"agent"}:
        assert other.replace("_", "-") not in options


def test_help_of_the_tutorials_agent_names_the_others(capsys):
    with pytest.raises(SystemExit):
        parse_config(["--help"], "train.py")
    out = " ".join(capsys.readouterr().out.split())
    assert "--agent {dqn,ddpg,naf,sarsa,cem}" in out and "--agent NAME --help shows" in out


def test_the_agent_is_told_if_it_is_another():
    told = parse_config(["--preset", "pendulum", "--seed", "3"], "train.py").told
    assert told[0] == "agent ddpg"
    assert told[1].startswith("preset pendulum: gamma 0.98, ")


# Environments


@pytest.mark.parametrize(
    ("agent", "env"),
    [("dqn", "Pendulum-v1"), ("cem", "Pendulum-v1"), ("ddpg", "CartPole-v1"), ("naf", "gymnasium:CartPole-v1")],
)
def test_actions_of_the_wrong_kind_are_refused_with_the_agents_for_them(agent, env, here, capsys, said, refused):
    with pytest.raises(SystemExit) as stop:
        run_command("train", ["--agent", agent, "--env", env])
    assert stop.value.code == 2
    said(capsys.readouterr().err)
    with refused("actions"):
        train(AGENTS[agent].settings(env=env))
    assert not list(here.iterdir())


@pytest.mark.parametrize("kind", [DDPGConfig, NAFConfig, SARSAConfig, CEMConfig])
def test_pictures_need_a_network_that_the_agent_can_use(kind, noted):
    with noted(f"{kind.__name__}(network='module:function')"):
        warn_of(kind(), (84, 84), None, spaces.Box(0, 255, (84, 84), np.uint8))


def test_a_linear_network_is_noted_unless_it_is_the_default(noted):
    warn_of(CEMConfig(), (4,))
    with noted("linear"):
        warn_of(SARSAConfig(hidden_layers=()), (4,))


# Files


def written(folder, *names):
    for name in names:
        (folder / name).touch()


def test_weights_of_two_networks_are_a_pair_of_files(tmp_path):
    files = RunFiles("Pendulum-v1", tmp_path, tmp_path, "ddpg")
    names = [f"ddpg_Pendulum-v1_{what}.h5f" for what in ("best_actor", "best_critic", "weights_5_actor")]
    written(
        tmp_path, *names, "ddpg_Pendulum-v1_weights_actor.h5f", "ddpg_Pendulum-v1_best.h5f", "dqn_Pendulum-v1_state"
    )
    assert files.exists(files.best) and not files.exists(files.weights)
    assert {file.name for file in files.kept()} == {*names, "ddpg_Pendulum-v1_weights_actor.h5f"}


def test_a_pair_without_settings_is_taken_for_ddpgs(tmp_path, capsys):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    for suffix in ("_actor", "_critic"):
        weights.write(tmp_path / f"old{suffix}.h5f", model, None)
    for name in ("old.h5f", "old_actor.h5f", "old_critic.h5f"):
        found = find(PlayConfig(str(tmp_path / name)), OwnParts(), "play")
        assert dataclasses.replace(found.config, memory_limit=50_000) == DDPGConfig()
        assert "without settings: using the default networks of ddpg and Pendulum-v1" in capsys.readouterr().out
    (tmp_path / "old_critic.h5f").unlink()
    assert isinstance(find(PlayConfig(str(tmp_path / "old_actor.h5f")), OwnParts(), "play").config, Config)


@pytest.mark.parametrize("gone, there", [("actor", "critic"), ("critic", "actor")])
def test_half_of_a_pair_is_not_played_and_the_missing_half_is_named(tmp_path, gone, there, refused):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    weights.write(tmp_path / f"x_{there}.h5f", model, dataclasses.asdict(DDPGConfig()))
    for name in ("x.h5f", f"x_{there}.h5f"):
        with refused(f"x_{gone}.h5f", error=WeightsError):
            find(PlayConfig(str(tmp_path / name)), OwnParts(), "play")


def test_networks_that_would_be_far_larger_than_their_weights_are_refused_before_they_are_built(tmp_path, refused):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    for suffix in ("_actor", "_critic"):
        settings = dataclasses.asdict(DDPGConfig(critic_hidden_layers=(9_000, 9_000)))
        weights.write(tmp_path / f"vast{suffix}.h5f", model, settings if suffix == "_actor" else None)
    with refused("8 weights", "81,049,", error=WeightsError):
        find(PlayConfig(str(tmp_path / "vast_actor.h5f")), OwnParts(), "play").run()


def test_a_run_that_continues_leaves_its_networks_where_they_are(tmp_path):
    files = RunFiles("Pendulum-v1", tmp_path, tmp_path, "ddpg")
    for what, run in (("best", "a" * 12), ("weights_7", "b" * 12)):
        for network in ("actor", "critic"):
            (tmp_path / f"ddpg_Pendulum-v1_{what}_{network}.h5f").write_text(run)
    (tmp_path / "ddpg_Pendulum-v1_weights_9_critic.h5f").write_text("a" * 12)  # a kill before the actor was written
    assert files.set_aside("a" * 12)
    assert [file.name.removeprefix("ddpg_Pendulum-v1_") for file in files.kept()] == [
        *("best_actor.h5f", "best_critic.h5f", "weights_9_critic.h5f")
    ]


def test_the_agent_to_resume_is_that_of_the_only_run_in_the_folder(tmp_path, refused):
    folder = str(tmp_path)
    assert agent_to_resume(folder, None, "dqn") == "dqn"
    written(tmp_path, "sarsa_CartPole-v0_state", "sarsa_CartPole-v0_state.memory-1")
    assert agent_to_resume(folder, None, "dqn") == agent_to_resume(folder, "CartPole-v0", "dqn") == "sarsa"
    assert agent_to_resume(folder, "CartPole-v1", "dqn") == "dqn"
    written(tmp_path, "dqn_CartPole-v0_state", "ddpg_Pendulum-v1_state")
    assert agent_to_resume(folder, "Pendulum-v1", "dqn") == "ddpg"
    for env in (None, "CartPole-v0"):
        with shell(), refused("sarsa on CartPole-v0"):
            agent_to_resume(folder, env, "dqn")


def test_a_run_of_another_agent_is_not_resumed(here, capsys, said):
    Path("checkpoints").mkdir()
    written(here / "checkpoints", "sarsa_CartPole-v0_state")
    with pytest.raises(SystemExit) as stop:
        run_command("train", ["--resume", "--agent", "ddpg"])
    assert stop.value.code == 2
    said(capsys.readouterr().err)


def test_files_of_every_agent_are_cleared(tmp_path, capsys):
    place = tmp_path / "earlier/1"
    place.mkdir(parents=True)
    names = [f"{agent}_X_weights{suffix}.h5f" for agent, kind in AGENTS.items() for suffix in kind.suffixes]
    written(place, *names)
    (place / "naf_X_tensorboard").mkdir()
    written(place / "naf_X_tensorboard", "events.out.tfevents.1.kerasrl")
    assert run_command("clear", ["--checkpoint-dir", str(tmp_path), "--log-dir", str(tmp_path), "--yes"]) == 0
    assert not (tmp_path / "earlier").exists()
    assert f"deleted {len(names) + 1} files" in capsys.readouterr().out


def test_a_search_keeps_the_best_and_the_last_weights_of_a_trial(tmp_path):
    folder = tmp_path / "seed-0"
    folder.mkdir()
    kept = [f"{agent}_X_{what}{end}.h5f" for agent, kind in AGENTS.items() for end in kind.suffixes
            for what in ("best", "weights")]  # fmt: skip
    written(folder, *kept, "cem_X_state", "ddpg_X_weights_5_actor.h5f", "ddpg_X_weights_5_critic.h5f",
            "sarsa_X_weights_5.h5f", "naf_X_state.memory-1")  # fmt: skip
    worker.clear(tmp_path)
    assert sorted(file.name for file in folder.iterdir()) == sorted(kept)


# A recipe of one's own


@pytest.mark.parametrize("name", AGENTS)
def test_new_copies_the_recipe_of_an_agent(name, here, capsys):
    assert run_command("new", ["--agent", name, "mine"]) == 0
    texts = {file.name: file.read_text() for file in Path("mine").iterdir()}
    assert sorted(texts) == ["callbacks.py", "model.py", "test.py", "train.py"]
    for file, text in texts.items():
        compile(text, file, "exec")
    if name == "dqn":
        assert all(text == (ROOT / file).read_text() for file, text in texts.items())
    else:
        assert texts["model.py"] == (ROOT / "kerasrl/agents" / name / "recipe.py").read_text()
        assert f'kerasrl.answer("train", agent="{name}")' in texts["train.py"]
        assert f"{name}.fit(" in texts["train.py"] and f"{name}.test(" in texts["test.py"]
        assert "from model import build\n" in texts["train.py"] and "def build" not in texts["train.py"]
        assert "dqn" not in (texts["train.py"] + texts["test.py"]).lower()
    assert capsys.readouterr().out.endswith(" mine/train.py\n")

"""New trainings that begin with the weights of earlier ones."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import rl.core

from kerasrl import Config, train
from kerasrl.cli.door import run as run_command
from kerasrl.config.agents import AGENTS
from kerasrl.config.files import read_toml
from kerasrl.errors import Note, UserError
from kerasrl.storage import weights
from kerasrl.training.run import TrainingRun
from model import build_agent, build_model

DATA = Path(__file__).parents[1] / "data"
FEW = {"nb_steps": 20, "eval_interval": 0, "hidden_layers": (4, 3), "verbose": 0, "nb_max_episode_steps": 10, "seed": 1}
LEARNING = {**FEW, "nb_steps": 50, "batch_size": 4, "state_interval": 10}  # the others only warm up


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(TrainingRun, "_rehearse", lambda _: None)


def settings(name="dqn", **others):
    kind = AGENTS[name].settings
    warm_up = {f"nb_steps_warmup{of}": 1000 for of in ("", "_actor", "_critic")}
    own = {setting: value for setting, value in warm_up.items() if hasattr(kind, setting)}
    return kind(**{**FEW, **own, **others})


def arrays(file):
    return [array for layer in weights.read(file).layers for array in layer.values()]


def assert_equal(some, others):
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.long
@pytest.mark.parametrize("name", AGENTS)
def test_every_agents_networks_and_targets_begin_with_them_and_its_optimizers_afresh(name):
    first = train(settings(name))
    expected = first.agent.get_weights()
    second = train(settings(name, seed=2, start_from=first))
    if name == "cem":  # whose first episode is played with them, and the others around them
        means, deviations = np.split(second.agent.theta, 2)
        np.testing.assert_array_equal(means, first.agent.get_weights_flat(expected))
        assert (deviations == 0.5).all()
        return
    assert_equal(second.agent.get_weights(), expected)
    targets = [network for network in second.agent.trainables.values() if len(network._target)]
    assert len(targets) == {"dqn": 1, "ddpg": 2, "naf": 1, "sarsa": 0}[name]
    for network in targets:
        assert_equal(network.target().get_weights(), network.online().get_weights())
    assert all(int(network.optimizer.iterations) == 0 for network in second.agent.trainables.values())


@pytest.mark.long
def test_the_same_file_gives_the_same_bits_and_a_resume_does_without_it(tmp_path):
    train(Config(**LEARNING)).files.weights.replace("source.h5f")
    results = []
    for folder in ("one", "two"):
        how = {**LEARNING, "checkpoint_dir": folder, "log_dir": folder, "start_from": "source.h5f"}
        if folder == "two":
            train(Config(**{**how, "nb_steps": 30}))
            Path("source.h5f").unlink()
        results.append(arrays(train(Config(**how, resume=folder == "two")).files.weights))
    assert_equal(*results)
    assert read_toml(Path("two/dqn_CartPole-v0_config.toml"))["run"]["started_from"]


@pytest.mark.long
def test_a_file_of_settings_and_weights_say_where_they_come_from(capsys, said):
    first = train(settings())
    file = str(first.weights)
    options = [f"--{name}={str(value).strip('(,)')}" for name, value in FEW.items() if name != "hidden_layers"]
    command = [*options, "--hidden-layers", "4", "3", "--start-from", file, "--verbose", "1"]
    assert run_command("train", command) == 0
    (told,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("start from")]
    said(told, source := f"{first.run[:6]}-{first.run[6:]}")
    recorded = read_toml(Path("logs/dqn_CartPole-v0_config.toml"))
    assert (recorded["start_from"], recorded["run"]["started_from"]) == (file, f"run {source}")
    metadata = weights.read(file).metadata  # of the new run, since the first one's have moved
    assert (metadata["start_from"], metadata["started_from"]) == (file, f"run {source}")
    assert first.weights == Path("checkpoints/earlier/1/dqn_CartPole-v0_weights.h5f")


@pytest.mark.long
def test_layers_that_do_not_fit_are_refused_by_name_or_left_out_if_asked(capsys, said, refused):
    first = train(settings())
    other = {"env": "Acrobot-v1", "seed": 2, "start_from": first.weights}
    with refused("Acrobot-v1", "4x4", "6x4", "3x2", "3x3", "skip_mismatch=True", varying=r"dense(_\d+)?"):
        train(settings(**other))
    assert not list(Path().rglob("*Acrobot*"))
    begun = train(settings(env="Acrobot-v1", seed=2)).agent.get_weights()
    found = train(settings(**other, skip_mismatch=True, verbose=1)).agent.get_weights()
    out = capsys.readouterr().out
    (told,) = [line for line in out.splitlines() if line.startswith("start from")]
    said(told, rf"dense(_\d+)?|{first.run[:6]}-{first.run[6:]}")
    assert_equal(found, [*begun[:2], *first.agent.get_weights()[2:4], *begun[4:]])
    for others in ({"hidden_layers": (4,)}, {"hidden_layers": (9, 7)}):
        with refused("does not fit CartPole-v0", varying=r"dense(_\d+)?"):
            train(settings(start_from=first.weights, skip_mismatch=True, **others))


def test_from_python_a_note_names_what_is_left_out():
    build_agent(build_model(4, 2, (3,)), 2).save_weights("w.h5f")
    agent = build_agent(build_model(4, 3, (3,)), 3)
    with pytest.warns(Note, match=r"dense\S* \(3x2 in the file, 3x3 in the model\)"):
        agent.load_weights("w.h5f", skip_mismatch=True)
    assert_equal(agent.get_weights()[:2], arrays("w.h5f")[:2])
    assert_equal(agent.target_model.get_weights(), agent.get_weights())


class Counting(rl.core.Processor):
    nb_seen = 0

    def process_observation(self, observation):
        self.nb_seen += 1
        return observation


@pytest.mark.long
def test_what_a_processor_held_comes_back_or_is_left_out_if_asked(refused):
    processor = Counting()
    first = train(settings(), processor=processor)
    second = train(settings(start_from=first), processor=Counting())
    assert second.agent.processor.nb_seen > processor.nb_seen > 20
    with refused("Counting", "skip_mismatch=True"):
        train(settings(start_from=second))
    with pytest.warns(Note, match="Counting"):
        agent = train(settings(start_from=second, skip_mismatch=True)).agent
    assert_equal(agent.get_weights(), second.agent.get_weights())


@pytest.mark.long
def test_the_option_that_weights_of_normalised_observations_need_is_named_in_a_shell(capsys, said):
    first = train(settings(normalize_observations=True))
    command = f"--start-from {first.weights} --nb-steps 20 --eval-interval 0 --hidden-layers 4 3".split()
    with pytest.raises(SystemExit) as end:
        run_command("train", [*command, "--checkpoint-dir", "second", "--log-dir", "second"])
    told = capsys.readouterr().err.splitlines()[-1]
    assert end.value.code == 2 and "--normalize-observations" in told and "NormalizingProcessor" not in said(told)


@pytest.mark.parametrize("name", ["keras_rl_0.4.2_hdf5.h5f", "keras_rl2_tf24_checkpoint.h5f"])
def test_weights_of_every_keras_rl_will_do(name, capsys, said):
    trained = train(settings(start_from=str(DATA / name), hidden_layers=(16, 16, 16), verbose=1))
    assert len(arrays(DATA / name)) == len(trained.agent.get_weights())
    assert_equal(sorted(map(np.sum, trained.agent.get_weights())), sorted(map(np.sum, arrays(DATA / name))))
    said(next(line for line in capsys.readouterr().out.splitlines() if line.startswith("start from")))


@pytest.mark.long
def test_what_they_name_is_not_run():
    Path("trap.py").write_text("import pathlib\npathlib.Path('sprung').touch()\n")
    model = build_model(4, 2, (4, 3))
    weights.write("strange.h5f", model, {"network": "trap:build", "env": "trap:E-v0", "processor": "trap:P"})
    assert_equal(train(settings(start_from="strange.h5f")).agent.get_weights(), arrays("strange.h5f"))
    assert not Path("sprung").exists()


def test_what_cannot_be_read_is_told_before_anything_is_built(tmp_path, refused):
    shutil.copy(DATA / "keras_rl_0.4.2_log.json", "log.h5f")
    for name in ("nothing.h5f", "log.h5f"):
        with refused(name):
            train(settings(start_from=name))
    with pytest.raises(UserError, match="start_from"):
        Config(skip_mismatch=True)
    assert {file.name for file in tmp_path.iterdir()} <= {"log.h5f", "checkpoints", "logs"}

"""A file from a stranger is never code: what it names is imported only if the user names or trusts it, too."""

import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from kerasrl import Config, play, train
from kerasrl.cli.door import run as run_command
from kerasrl.config.commands import PlayConfig
from kerasrl.storage import weights
from kerasrl.tools.play import run as run_play
from kerasrl.tools.tune.worker import Job, work

ROOT = Path(__file__).parents[2]
TRAP = "import pathlib\npathlib.Path('sprung').touch()\n"


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A function that makes a weights file with settings of a stranger's, in a folder with a module that is a trap."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])  # to which the folder of each test would be added
    (tmp_path / "trap.py").write_text(TRAP)
    saved = weights.read(ROOT / "checkpoints" / "dqn_CartPole-v0_pretrained.h5f")

    def make(**settings):
        from model import build_model

        model = build_model(4, 2)
        weights.assign(model, saved)
        weights.write("strange.h5f", model, {**saved.metadata, **settings})
        return "strange.h5f"

    return make


NAMED = [
    {"processor": "trap:Processor"},
    {"network": "trap:build"},
    {"env": "trap:Trap-v0"},
    {"processor": "os:abort"},
    {"network": "os:kill"},
    {"processor": "sys:exit"},
]


@pytest.mark.parametrize("settings", NAMED, ids=lambda settings: next(iter(settings.values())))
def test_what_a_weights_file_names_is_not_imported(settings, stranger, python):
    ((name, value),) = settings.items()
    status, output, errors = python.run(Path.cwd(), str(ROOT / "test.py"), "--weights", stranger(**settings))
    assert (status, output) == (2, "")
    assert errors.splitlines() == [
        f"error: strange.h5f names {name} {value}, which would be imported and run; "
        f"give --{name} {value}, or --trust, if you trust it"
    ]
    assert not Path("sprung").exists()


class NotInstalled:
    """What finds a few libraries as Python does where they are not installed: only in the current folder."""

    names = ("minatar", "ale_py", "lacking")

    def find_spec(self, name, path=None, target=None):
        if name not in self.names:
            return None
        spec = PathFinder.find_spec(name, [folder for folder in sys.path if Path(folder) == Path.cwd()])
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return spec


@pytest.mark.parametrize("env", ["MinAtar/Breakout-v1", "gymnasium:MinAtar/Breakout-v1", "ALE/Pong-v5", "Pong-v0",
                                 "PongDeterministic-v4", "Atari/Pong-v4", "gymnasium:evil:Foo-v0",
                                 "OfALibrary-v0"])  # fmt: skip
def test_the_name_of_an_environment_in_a_file_imports_nothing_of_the_current_folder(
    env, stranger, refused, monkeypatch, tmp_path_factory
):
    library = tmp_path_factory.mktemp("library")
    (library / "a_library.py").write_text("import lacking\n")  # such as MuJoCo for Gymnasium
    monkeypatch.syspath_prepend(library)
    monkeypatch.syspath_prepend(Path.cwd())  # as Python does for a script in this folder
    import gymnasium

    monkeypatch.setitem(
        gymnasium.registry, "OfALibrary-v0", gymnasium.envs.registration.EnvSpec("OfALibrary-v0", "a_library:Env")
    )
    monkeypatch.setattr(sys, "meta_path", [NotInstalled(), *sys.meta_path])
    for name in [name for name in sys.modules if name.partition(".")[0] in NotInstalled.names]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "kerasrl.environments.atari_game", raising=False)  # which imports one of them
    for name in (*NotInstalled.names, "gymnasium:evil"):
        Path(f"{name}.py").write_text(TRAP)
    Path("minatar").mkdir()
    for name in ("__init__", "gym"):
        Path("minatar", f"{name}.py").write_text(TRAP)
    with refused(env):
        play(stranger(env=env), 1)
    assert not Path("sprung").exists()


def test_what_older_files_name_is_this_projects(stranger, refused):
    Path("atari.py").write_text(TRAP)
    with refused("takes grey images"):
        play(stranger(network="atari:build_atari_network"), 1)
    assert not Path("sprung").exists()


@pytest.mark.long
def test_a_folder_of_tune_may_not_bring_code(stranger):
    settings = Config(nb_steps=60, eval_interval=0, verbose=0)
    job = Job("seed 0", settings, (0,), Path("runs"), True, ("tune",))
    folders = {"checkpoint_dir": "runs/seed-0", "log_dir": "runs/seed-0"}
    trained = train(Config(**{**vars(settings), "seed": 0, **folders}))
    Path(stranger(network="trap:build", id=trained.run)).replace(trained.files.best)
    assert "names network trap:build, which would be imported" in work(job, lambda news: True)
    assert not Path("sprung").exists()


def test_weights_that_were_replaced_bring_no_code_into_a_trained_agent(stranger, refused, tmp_path):
    trained = train(Config(nb_steps=60, eval_interval=0, verbose=0))
    for name in ("network", "processor", "recipe"):
        Path(stranger(**{name: "trap:build"})).replace(trained.weights)
        with refused("trap:build"):
            trained.play(1)
        with refused("trap:build"):
            trained.export("agent.onnx")
    assert not Path("sprung").exists()


@pytest.mark.parametrize("how", [{"processor": "trap:Own"}, {"trust": True}], ids=["named", "trusted"])
def test_what_the_user_names_or_trusts_is(how, stranger):
    Path("trap.py").write_text(TRAP + "import rl.core\nclass Own(rl.core.Processor): pass\n")
    sys.modules.pop("trap", None)
    file = stranger(processor="trap:Own")
    rewards = play(file, 1, seed=0, trust=True) if "trust" in how else run_play(PlayConfig(file, 1, seed=0, **how))
    assert rewards == [200.0]
    assert Path("sprung").exists()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("processor", "os:abort"), ("processor", "sys:exit"), ("network", "os:kill"), ("network", "../evil:build")),
        ("callback", ("os:abort",)),
        ("env", "gymnasium:evil:Foo-v0"),
    ],
)
def test_a_type_is_looked_at_before_it_is_called(setting, value, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with refused(value if isinstance(value, str) else value[0]):
        train(Config(nb_steps=20, eval_interval=0, verbose=0, **{setting: value}))
    assert not list(Path("checkpoints").glob("dqn_*"))


def test_a_settings_file_may_not_bring_code(tmp_path, monkeypatch, said, refused, capsys):
    monkeypatch.chdir(tmp_path)
    Path("trap.py").write_text(TRAP)
    Path("mine.toml").write_text('network = "trap:build"\n')
    with pytest.raises(SystemExit) as stop:
        run_command("train", ["--config", "mine.toml"])
    assert stop.value.code == 2
    assert "mine.toml" in said(capsys.readouterr().err)
    with refused("mine.toml", "trap:build", "trust=True"):
        Config.load(file="mine.toml")
    assert Config.load(file="mine.toml", trust=True).network == "trap:build"
    Path("mine.toml").write_text("trust = true\n")
    with refused("mine.toml", "trust"):
        Config.load(file="mine.toml")
    assert not Path("sprung").exists()


def test_each_of_several_callbacks_is_named(tmp_path, monkeypatch, said, refused, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text('callback = ["trap:One", "trap:Two", "trap:Three"]\nprocessor = "trap:Own"\n')
    Path("trap.py").write_text(TRAP)
    for options in ([], ["--callback", "trap:One"]):
        with pytest.raises(SystemExit):
            run_command("train", ["--config", "mine.toml", *options])
        assert "trap:Three" in said(capsys.readouterr().err)
    with refused("trap:Own", "trap:One", "trap:Two", "trap:Three"):
        Config.load(file="mine.toml")
    assert not Path("sprung").exists()


@pytest.mark.long
def test_a_resumed_run_may_not_bring_code(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = "import model\n\n\ndef build(size, num_actions):\n    return model.build_model(size, num_actions)\n"
    Path("own_network.py").write_text(source)
    options = ["--nb-steps", "60", "--eval-interval", "0", "--verbose", "0", "--seed", "1"]
    assert run_command("train", [*options, "--network", "own_network:build"]) == 0
    for how, status in (([], 2), (["--network", "own_network:build"], 0), (["--trust"], 0)):
        if status:
            with pytest.raises(SystemExit) as stop:
                run_command("train", ["--resume", "--nb-steps", "80", *how])
            assert stop.value.code == status
            assert "names network own_network:build, which would be imported" in capsys.readouterr().err
        else:
            assert run_command("train", ["--resume", "--nb-steps", "80", *how]) == status


@pytest.mark.long
def test_the_command_to_type_names_what_the_file_will(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("own_processor.py").write_text("import rl.core\nclass Own(rl.core.Processor): pass\n")
    options = ["--nb-steps", "60", "--eval-interval", "0", "--processor", "own_processor:Own"]
    assert run_command("train", options) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("_weights.h5f --processor own_processor:Own")

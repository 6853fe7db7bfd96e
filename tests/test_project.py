"""What README, docs, CI and the package promise about themselves."""

import contextlib
import copy
import dataclasses
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import types
import xml.etree.ElementTree
from pathlib import Path
from unittest.mock import MagicMock

import gym
import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

from kerasrl import Config, DQNAgent, FileLogger, SequentialMemory, environments, export, train
from kerasrl.cli.door import run as run_command
from kerasrl.cli.layers import parse_config, parse_with_config
from kerasrl.cli.options import parse
from kerasrl.config.agents import AGENTS
from kerasrl.config.commands import ClearConfig, ExportConfig, NewConfig, PlayConfig, PlotConfig, TuneConfig
from kerasrl.installation import COMMANDS
from model import build_model

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
TEXTS = {
    page: page.read_text() for page in [*(ROOT / f"{name}.md" for name in ("README", "RESULTS", "CONTRIBUTING")), *DOCS]
}
README = TEXTS[ROOT / "README.md"]
BLOCKS = [
    block for text in TEXTS.values() for block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
]
SPANS = [
    " ".join(span.split())
    for text in TEXTS.values()
    for span in re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))
]
SETTINGS = {"test": PlayConfig, "play": PlayConfig, "plot": PlotConfig, "export": ExportConfig, "new": NewConfig}
SETTINGS["clear"] = ClearConfig
PYTHON = [
    "from kerasrl import DQNAgent",
    "from kerasrl import DDPGAgent",
    "import gym\n",
    "class StopWhenGood",
    "class Furthest",
    "from kerasrl import NormalizingProcessor",
    "from rl.core import Processor\n\n\nclass Counting",
    "from kerasrl import Config, train\n\ntrained = train(Config(env",
    "from kerasrl import PrioritizedMemory",
    "from kerasrl import Config, train\nfrom corridor",
    "from kerasrl import Config, train\n\ntrained = train(Config.load",
    "import kerasrl\n",
    "import gymnasium\n",
    "from ai_edge_litert",
    "import json\n",
    "from gym import Env, spaces",
    "q_values = policy.run",
    "from kerasrl.environments.processors import",
    WANDB := "import rl.callbacks\nimport wandb",
    MLFLOW := "import logging\n\nimport mlflow",
    SEVERAL := "from gym import Env, make, register",
]


def python_block(beginning):
    (source,) = [source for language, source in BLOCKS if language == "python" and source.startswith(beginning)]
    return source


def commands():
    """The lines that run a command, from its name on."""
    lines = [line for language, source in BLOCKS if language == "sh" for line in source.splitlines()]
    names = "|".join(COMMANDS)
    for line in [*lines, *SPANS]:
        line = re.sub(r"python (train|test)\.py\b", r"python -m kerasrl \1", line)
        for command in re.findall(rf"^(?:.*&& )?[\w./]*python -m kerasrl ((?:{names}) .*|train)$", line):
            yield shlex.join(shlex.split(command, comments=True))


def run(*arguments, cwd, path=None):
    environment = None if path is None else {"PYTHONPATH": str(path)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_ci_runs_the_readmes_test_command():
    (command,) = re.findall(r"^python3 -m venv .* pytest$", README, re.MULTILINE)
    found = subprocess.run(
        ["grep", "venv .* pytest$", "README.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == command
    assert "grep -m 1 'venv .* pytest$' README.md" in (ROOT / ".ci" / "run").read_text()


def test_what_is_installed_is_what_was_tested():
    """constraints.txt has one version of each requirement, within its bounds, for each Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    constraints = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines()[1:]]
    for minor in range(10, 14):
        machine = {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.5", "sys_platform": "linux"}
        pinned = {}
        for one in constraints:
            if one.marker is None or one.marker.evaluate(machine):
                assert one.name not in pinned
                (pinned[one.name],) = one.specifier
        for required in map(Requirement, [*project["dependencies"], *extras]):
            if required.name != "kerasrl" and (required.marker is None or required.marker.evaluate(machine)):
                assert required.specifier.contains(pinned[required.name].version), required
    bounded = {one.name for one in map(Requirement, project["dependencies"]) if "<" in str(one.specifier)}
    assert {"numpy", "h5py"} <= bounded
    installs = re.findall(r"pip install(?: -q)?(.*)", README)
    assert len(installs) == 3 and all(line.startswith(" -c constraints.txt ") for line in installs)


@pytest.mark.parametrize(
    ("pip", "says"),
    [
        ("echo Would install kerasrl-0.1.0 Gym_Notices-0.1.0", "newer releases within the bounds: none\n"),
        ("echo Would install kerasrl-0.1.0 numpy-2.9 ray-2.61", "within the bounds: numpy-2.9 ray-2.61; .ci/renew"),
        ("exit 1", "newer releases: unknown, the index does not answer\n"),
    ],
    ids=["none", "some", "unknown"],
)
def test_ci_says_in_a_line_whether_there_are_newer_releases(tmp_path, pip, says):
    (tmp_path / "constraints.txt").write_text("gym-notices==0.1.0\nnumpy==2.4 ; python_version < '3.12'\n")
    for name, text in {".ci/newer": (ROOT / ".ci/newer").read_text(), ".venv/bin/pip": f"#!/bin/sh\n{pip}\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    ran = subprocess.run([tmp_path / ".ci/newer"], capture_output=True, text=True, check=True)
    assert says in ran.stdout and ran.stdout.count("\n") == 1
    assert ".ci/newer" in (ROOT / ".ci/run").read_text()


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_the_readmes_table_links_each_page_by_its_question(page):
    (question,) = re.findall(rf"^\| \[(.*?)\]\(docs/{page.name}\) \|", README, re.MULTILINE)
    assert TEXTS[page].splitlines()[0] == f"# {question}"


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_what_a_page_links_exists(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            if anchor:
                headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
                assert anchor in [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings], (
                    link
                )


def test_each_promise_has_a_test():
    text = TEXTS[ROOT / "docs" / "promises.md"]
    promises = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(promises) > 20
    for promise in promises:
        ((file, test),) = re.findall(r"\| `(tests/[\w/]+\.py)::(test_\w+)` \|$", promise)
        assert f"\ndef {test}(" in (ROOT / file).read_text()


def test_each_message_has_a_test(left_over_messages):
    assert left_over_messages == []


def test_pictures_have_a_text_alternative():
    pictures = [picture for text in TEXTS.values() for picture in re.findall(r"!\[(.*?)\]\((.*?)\)", text)]
    assert len(pictures) >= 3
    assert all(len(alternative) > 10 for alternative, _ in pictures)
    svg = xml.etree.ElementTree.parse(ROOT / "docs" / "how-it-works.svg").getroot()
    assert all(svg.find(f"{{http://www.w3.org/2000/svg}}{tag}").text for tag in ("title", "desc"))


def test_commands_are_found():
    assert sum(command.startswith("train") for command in commands()) > 10
    assert sum(command.startswith("test") for command in commands()) > 2
    assert sum(command.startswith("plot") for command in commands()) > 1
    assert sum(command.startswith("tune") for command in commands()) > 5


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_a_command_parses(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, *arguments = shlex.split(command)
    arguments = [{"NAME": "cartpole", "N": "1"}.get(argument, argument) for argument in arguments]
    if "--config" in arguments:
        file = tmp_path / arguments[arguments.index("--config") + 1]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    with contextlib.suppress(SystemExit) if "--help" in arguments else contextlib.nullcontext():
        if name == "tune":
            parse_with_config(TuneConfig, {}, arguments, "tune")
        elif name == "train":
            parse_config(arguments, "train.py")
        else:
            parse(SETTINGS[name], arguments, name)


def readmes_lines():
    """The README's lines that run a command of this project, in their order: the command's name, and its words."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    found = [re.search(r"python (?:(train|test)\.py|-m kerasrl (\w+))(.*)$", line) for line in lines]
    return [(match[1] or match[2], shlex.split(match[3])) for match in found if match]


@pytest.mark.long
def test_each_line_of_the_readme_runs_in_its_order(tmp_path, monkeypatch, shown):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "spaces", "spaces")
    Path("checkpoints").mkdir()
    shutil.copy(ROOT / "checkpoints/dqn_CartPole-v0_pretrained.h5f", "checkpoints")
    short = ["--nb-steps", "40", "--eval-interval", "20", "--eval-episodes", "1"]
    shorter = {"train": [*short, "--verbose", "0"], "test": ["--episodes", "1"], "tune": [*short, "--no-jit-compile"]}
    done = []
    for name, words in readmes_lines():
        resumes = "--resume" in words
        last = ["--nb-steps", "80", "--verbose", "0"] if resumes else shorter[name]
        last = [*last, *(["--seeds", "2"] if "--seeds" in words else ["--trials", "1"] if name == "tune" else [])]
        assert run_command(name, [*words, *last]) == 0
        done.append(name)
    assert [name for name in done if name != "tune"] == ["train", "test", "test", *["train"] * 4]
    assert resumes and shown and Path("film.gif").stat().st_size > 10_000
    first, other = (json.loads(Path(f"logs/dqn_CartPole-v{n}_log.json").read_text())["nb_steps"] for n in (0, 1))
    assert first[-1] > 40 >= other[-1]
    assert not list(Path().glob("*/earlier"))


def test_options_in_the_text_exist():
    kinds = (*(kind.settings for kind in AGENTS.values()), TuneConfig, *SETTINGS.values())
    fields = [field.name for kind in kinds for field in dataclasses.fields(kind)]
    known = {f"--{name.replace('_', '-')}" for name in [*fields, "preset", "config", "help", "debug"]}
    others = {"--presets", "--options", "--tables", "--baseline", "--logdir"}  # of benchmarks/, TensorBoard's
    others |= {"--regenerate-messages", "--eighth", "--backend-store-uri"}  # of the tests, MLflow's
    others |= set(re.findall(r"--[a-z0-9-]+", run("-m", "kerasrl", "--help", cwd=ROOT).stdout))
    named = {option for span in SPANS for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", span)}
    assert len(named) > 20
    assert {option.replace("--no-", "--") for option in named} <= known | others


def test_each_block_of_python_is_tested():
    found = [source for language, source in BLOCKS if language == "python"]
    assert len(found) == len(PYTHON)
    assert all(python_block(beginning) for beginning in PYTHON)


@pytest.mark.long
def test_the_script_for_continuous_actions_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    script = {"__name__": "script"}
    exec(
        python_block("from kerasrl import DDPGAgent").replace("20000, visualize", "1010, verbose=0, visualize"), script
    )
    assert script["agent"].memory.nb_entries > 1010 and np.abs(script["agent"].memory.actions).max() > 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ddpg_weights_actor.h5f", "ddpg_weights_critic.h5f"]


def test_the_script_runs(python, tmp_path):
    script = python_block("from kerasrl import DQNAgent").replace("50000, callbacks", "500, callbacks")
    (tmp_path / "script.py").write_text(script)
    (tmp_path / "logs").mkdir()
    done = python.run(tmp_path, "script.py")
    assert (done.status, done.errors) == (0, "")
    assert "Training for 500 steps" in done.output
    assert "Episode 5: reward:" in done.output
    assert (tmp_path / "logs" / "own_log.json").exists()


@pytest.mark.long
def test_the_own_environment_is_solved_and_filmed(tmp_path):
    source = python_block("import gym\n")
    (tmp_path / "corridor.py").write_text(source)
    training, filming = (shlex.split(command) for command in commands() if "Corridor-v0" in command)
    done = run("-m", "kerasrl", *training, "--seed", "1", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "solved: mean reward of 100 greedy episodes 0.92, at least 0.9" in done.stdout
    done = run("-m", "kerasrl", *filming, "--episodes", "1", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(tmp_path / "corridor.gif") as film:
        assert film.n_frames == 11  # the start, nine steps, and the end once more
        for cell in range(10):
            film.seek(cell)
            colour = film.convert("RGB").getpixel((48 * cell + 24, film.height - 24))
            assert colour == pytest.approx((40, 80, 200), abs=5)
    assert len(source.splitlines()) <= 40


def test_the_own_callback_ends_a_training():
    namespace = {}
    exec("import kerasrl.compat.keras_rl\nimport rl.callbacks\n" + python_block("class StopWhenGood"), namespace)
    callback = namespace["StopWhenGood"]()
    callback.set_model(types.SimpleNamespace(stop_training=False))
    callback.on_train_begin({})
    for reward in [0.0] * 30 + [195.0] * 19:
        callback.on_episode_end(0, {"episode_reward": reward})
    assert not callback.model.stop_training
    callback.on_episode_end(0, {"episode_reward": 195.0})
    assert callback.model.stop_training


def test_a_figure_of_ones_own_is_logged(tmp_path):
    namespace = {}
    exec("import kerasrl.compat.keras_rl\nimport rl.callbacks\n" + python_block("class Furthest"), namespace)
    agent = DQNAgent(build_model(4, 2), nb_actions=2, memory=SequentialMemory(9))
    agent.compile("sgd")
    log = FileLogger(str(tmp_path / "log.json"))
    agent.fit(environments.make("CartPole-v0"), 200, callbacks=[log, namespace["Furthest"]()], verbose=0)
    assert all(-10 < furthest < 2.4 for furthest in log.data["furthest"])


def test_what_a_processor_of_ones_own_has_counted_is_saved(tmp_path):
    namespace = {}
    exec(
        "import kerasrl.compat.keras_rl\n" + python_block("from rl.core import Processor\n\n\nclass Counting"),
        namespace,
    )
    numbers = []
    for seen in (7, 0):
        processor = namespace["Counting"]()
        processor.nb_seen = seen
        agent = DQNAgent(build_model(4, 2), nb_actions=2, memory=SequentialMemory(9), processor=processor)
        agent.compile("sgd")
        agent.load_weights(tmp_path / "w.h5f") if numbers else agent.save_weights(tmp_path / "w.h5f")
        numbers.append(processor.nb_seen)
    assert numbers == [7, 7]


def test_the_normalizing_processor():
    namespace = {}
    exec(python_block("from kerasrl import NormalizingProcessor"), namespace)
    agent = DQNAgent(build_model(4, 2), nb_actions=2, memory=SequentialMemory(9), processor=namespace["processor"])
    assert agent.normalizer.count == 0 and agent.processor is None


@pytest.mark.long
def test_the_training_from_python(tmp_path):
    source = python_block("from kerasrl import Config, train\n\ntrained = train(Config(env").replace("20_000", "300")
    done = run("-c", source + source, cwd=tmp_path, path=ROOT)  # twice, as in a notebook
    assert (done.returncode, done.stderr) == (0, "")
    assert len(re.findall(r"^\([\d.]+, \d+\) checkpoints/dqn_CartPole-v1_best.h5f$", done.stdout, re.MULTILINE)) == 2


@pytest.mark.long
def test_the_training_with_an_object(tmp_path):
    (tmp_path / "corridor.py").write_text(python_block("import gym\n"))
    source = python_block("from kerasrl import Config, train\nfrom corridor")
    again = "print(train(Config(resume=True), env=Corridor()).status)\n"
    again += 'from kerasrl import play\nplay("checkpoints/dqn_Corridor_best.h5f", env=Corridor())'
    done = run("-c", source + again, cwd=tmp_path, path=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("minimum") == 2
    assert "resume at step" in done.stdout


def test_the_prioritised_agent():
    namespace = {"DQNAgent": DQNAgent, "model": build_model(4, 2)}
    exec(python_block("from kerasrl import PrioritizedMemory"), namespace)
    assert namespace["dqn"].n_step == 3
    assert namespace["dqn"].memory.alpha == 0.6


def test_the_choice_of_threads(capsys):
    env = types.SimpleNamespace(observation_space=types.SimpleNamespace(shape=(4,)))
    namespace = {"env": env}
    exec(python_block("import kerasrl\n"), namespace)
    assert "thread" in namespace["kerasrl"].configure((4,))


@pytest.mark.long
def test_the_environment_with_illegal_actions(tmp_path):
    namespace = {}
    exec(python_block("from gym import Env, spaces"), namespace)
    taken = []

    class Nim(namespace["Nim"]):
        def step(self, action):
            taken.append(action < self.left)
            return super().step(action)

    folders = {"checkpoint_dir": str(tmp_path), "log_dir": str(tmp_path)}
    trained = train(Config(nb_steps=80, seed=1, hidden_layers=(4,), verbose=0, jit_compile=False, **folders), env=Nim)
    assert len(taken) > 80 and all(taken) and set(trained.history["episode_reward"]) == {-1.0, 1.0}


def test_the_processor_of_the_commands():
    env = types.SimpleNamespace(observation_space=gym.spaces.MultiDiscrete([2, 3]))
    namespace = {"env": env}
    exec(python_block("from kerasrl.environments.processors import"), namespace)
    assert namespace["processor"].process_observation([1, 0]).tolist() == [0, 1, 1, 0, 0]


@pytest.mark.long
def test_the_callbacks_for_trackers_tell_of_each_episode_and_go_on_in_the_same_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wandb, mlflow, namespace = MagicMock(), MagicMock(), {}
    for name, library, beginning in (("wandb", wandb, WANDB), ("mlflow", mlflow, MLFLOW)):
        monkeypatch.setitem(sys.modules, name, library)
        exec(python_block(beginning), namespace)
    mlflow.start_run.return_value.info.run_id = "one"
    of_wandb, of_mlflow = namespace["WandbCallback"](), namespace["MLflowCallback"]()
    settings = {"eval_interval": 10, "eval_episodes": 1, "nb_max_episode_steps": 10, "verbose": 0, "jit_compile": False}
    trained = train(Config(nb_steps=25, **settings), callbacks=[of_wandb, of_mlflow])
    assert wandb.init.call_args.kwargs["id"] == trained.run
    assert wandb.init.call_args.kwargs["config"]["learning_rate"] == 1e-3
    for log in (wandb.log, mlflow.log_metrics):
        (*episodes, end), history = log.call_args_list, trained.history
        assert [call.args[0]["episode_reward"] for call in episodes] == history["episode_reward"]
        assert [call.kwargs["step"] for call in episodes] == history["nb_steps"]
        assert {"loss", "mean_eps", "evaluation_reward"} <= set(episodes[-1].args[0])
        assert (end.args[0]["evaluation_reward"], end.kwargs["step"]) == trained.last
    assert wandb.finish.call_count == mlflow.end_run.call_count == 1
    again = namespace["MLflowCallback"]()
    again.set_state(of_mlflow.get_state())
    again.set_model(types.SimpleNamespace(step=25))
    again.on_train_begin({})
    assert [call.args for call in mlflow.start_run.call_args_list] == [(None,), ("one",)]
    assert mlflow.log_params.call_count == 1  # it refuses to change them


@pytest.mark.long
@pytest.mark.parametrize(
    ("library", "beginning", "callback", "written"),
    [
        ("wandb", WANDB, "WandbCallback", "wandb/offline-run-*/run-*.wandb"),
        ("mlflow", MLFLOW, "MLflowCallback", "mlflow.db"),
    ],
    ids=["wandb", "mlflow"],
)
def test_a_tracker_that_is_installed_writes_what_it_is_told(library, beginning, callback, written, tmp_path):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    (tmp_path / "trackers.py").write_text(python_block(beginning))
    words = ["-m", "kerasrl", "train", "--callback", f"trackers:{callback}"]
    short = ["--eval-interval", "20", "--eval-episodes", "1", "--no-jit-compile"]
    environment = {**os.environ, "WANDB_MODE": "offline"}
    for more in (["--nb-steps", "40", *short], ["--nb-steps", "60", "--resume"]):
        done = subprocess.run(
            [sys.executable, *words, *more], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert library not in done.stdout
    assert list(tmp_path.glob(written))


def test_an_environment_that_is_one_of_several():
    namespace = {}
    exec(python_block(SEVERAL), namespace)
    env = copy.deepcopy(namespace["Poles"]())
    met = []
    for seed in [*range(20), *range(20)]:
        assert env.observation_space.contains(env.reset(seed=seed)[0])
        met.append(env.step(0)[-1]["pole"])
    assert set(met) == set(namespace["LENGTHS"]) and met[:20] == met[20:]
    env.close()


def test_the_legal_action_of_an_exported_network():
    policy = types.SimpleNamespace(run=lambda names, inputs: [np.array([[1.0, 3.0, 2.0]])])
    namespace = {"policy": policy, "state": None, "info": {"action_mask": [1, 0, 1]}, "np": np}
    exec(python_block("q_values = policy.run"), namespace)
    assert namespace["action"] == 2


@pytest.mark.long
def test_the_ten_lines_act_where_there_is_no_tensorflow(tmp_path, monkeypatch):
    for package in ("gymnasium", "tf2onnx", "onnxruntime", "ai_edge_litert"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    for to in ("policy.onnx", "policy.tflite", "policy"):
        export(ROOT / "checkpoints" / "dqn_CartPole-v0_pretrained.h5f", to, episodes=1)
    without = "import sys\nsys.modules['tensorflow'] = sys.modules['keras'] = sys.modules['kerasrl'] = None\n"
    onnx, litert, about = (
        python_block(start) for start in ("import gymnasium\n", "from ai_edge_litert", "import json\n")
    )
    done = run("-W", "error", "-c", f"{without}{onnx}{about}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    nb_steps, told = done.stdout.splitlines()
    assert int(nb_steps) > 150
    assert told == str(
        ([{"name": "state", "shape": ["batch", 1, 4], "dtype": "float32"}], ["feed it as state float32 [1, 1, 4]"])
    )[1:-1].replace("], [", "] [")
    lines = [line for line in onnx.splitlines() if line and not line.startswith("import")]
    assert len(lines) <= 11  # and the one that prints
    loaded, used = litert.strip().split("\n\n")[0], litert.strip().splitlines()[1:]
    swapped = f"{loaded}\n" + onnx.replace(lines[0], used[-2])
    swapped = re.sub(r"    action = .*", f"    {used[-1]}\n    action = q_values.argmax()", swapped)
    done = run("-W", "error", "-c", without + swapped.replace("import onnxruntime\n", ""), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{nb_steps}\n"), done.stderr

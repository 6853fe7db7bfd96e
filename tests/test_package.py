"""The wheel by itself, in an empty folder: what somebody has who installed the package and has no checkout."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from one_process import one_after_another
from packaging.requirements import Requirement

pytest.importorskip("build")

ROOT = Path(__file__).parents[1]
ENGINE = {path.relative_to(ROOT).as_posix() for path in (ROOT / "kerasrl").rglob("*.py")}
PATTERNS = ("*.py", "presets/*.toml", "spaces/*.toml")
RECIPE = {path.relative_to(ROOT).as_posix() for pattern in PATTERNS for path in ROOT.glob(pattern)}
NOT_SOURCES = shutil.ignore_patterns(
    ".*", "__pycache__", "build", "*.egg-info", "dist", "checkpoints", "logs", "benchmarks"
)
KEPT = ["HOME", "LANG", "PATH", "TMPDIR", "RAY_worker_niceness"]
SHORT = ["--nb-steps", "1200", "--eval-interval", "600", "--eval-episodes", "1", "--seed", "1"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the sdist and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "source", ignore=NOT_SOURCES)  # building leaves files behind
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(folder / "source")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def needs(package, found, extra=""):
    """Return the installed packages that a package needs, with an extra if so, those that they need, and so on."""
    for text in package.requires or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if (marker is None or marker.evaluate({"extra": extra})) and requirement.name not in found:
            found[requirement.name] = metadata.distribution(requirement.name)
            needs(found[requirement.name], found)
    return found


@pytest.fixture(scope="module")
def python(built, tmp_path_factory):
    """The Python of an environment that has the wheel and, as links to where they are, the packages that it needs."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    (wheel,) = built.glob("*.whl")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(own)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    (package,) = metadata.distributions(path=[str(own)])
    for needed in needs(package, needs(package, {}), "tune").values():
        for name in {file.parts[0] for file in needed.files} - {"..", "__pycache__"}:
            if not (own / name).exists():
                (own / name).symlink_to(needed.locate_file(name))
    return folder / sysconfig.get_path("scripts", vars={"base": ""}).strip("/") / "python"


@pytest.fixture
def run(python, tmp_path):
    """A function that runs Python in an empty folder, and returns its output."""

    def run(*arguments, status=0):
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        command = [str(python), *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        if status:
            return done.stderr
        assert done.stderr == ""
        return done.stdout

    return run


def test_the_wheel_holds_engine_recipe_and_presets_and_no_modules_of_everybodys(built):
    (wheel,) = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == ENGINE | {f"kerasrl/_recipe/{name}" for name in RECIPE}


def test_the_sdist_holds_what_the_wheel_is_made_of(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= ENGINE | RECIPE | {"README.md", "LICENSE", "pyproject.toml"}


@pytest.mark.long
def test_a_preset_is_trained_played_drawn_and_exported_in_an_empty_folder(run, python, tmp_path):
    out = run("-m", "kerasrl", "train", "--preset", "cartpole-v1", *SHORT)
    assert out.startswith("preset cartpole-v1: env CartPole-v1")
    first, *rest = shlex.split(out.splitlines()[-1])
    assert first == str(python)  # which is not on the path
    assert rest == ["-m", "kerasrl", "test", "--weights", "checkpoints/dqn_CartPole-v1_best.h5f"]
    played = run(*rest, "--episodes", "1", "--record", "film.gif")
    assert "minimum" in played and (tmp_path / "film.gif").read_bytes().startswith(b"GIF")
    shutil.copy(tmp_path / "logs" / "dqn_CartPole-v1_curve.png", tmp_path / "before.png")
    plot = ["-m", "kerasrl", "plot", "logs/dqn_CartPole-v1_log.json", "--out", "a.png"]
    export = ["-m", "kerasrl", "export", *rest[3:], "--to", "policy.keras", "--episodes", "1"]
    resume = ["-m", "kerasrl", "train", "--resume", "--nb-steps", "1300"]
    out = run(*one_after_another(plot, export, resume))
    assert out.startswith("curve a.png\n") and "\nKeras policy.keras\n" in out and "resume at step" in out
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "before.png").read_bytes()
    settings = (tmp_path / "logs" / "dqn_CartPole-v1_config.toml").read_text()
    assert 'command = "python -m kerasrl train --preset cartpole-v1 --nb-steps' in settings


@pytest.mark.long
@pytest.mark.parametrize("name", ["train", "plot"])  # one that finds its recipe, one that needs none
def test_help_says_what_was_typed(name, run):
    assert run("-m", "kerasrl", name, "--help").startswith(f"usage: python -m kerasrl {name} ")


@pytest.mark.long
def test_mistakes_are_told_with_what_can_be_typed_there(run):
    assert run("-m", "kerasrl", "train", "--preset", "acrobt", status=2) == (
        "error: no preset is called 'acrobt'; did you mean acrobot?\n"
    )
    errors = run("-m", "kerasrl", "train", "--config", "x.toml", status=2)
    assert errors == "error: there is no configuration file x.toml\n"


@pytest.mark.long
def test_a_setting_that_does_not_exist_is_told_with_the_command_that_lists_them(run, tmp_path):
    (tmp_path / "x.toml").write_text("zzz = 1\n")
    assert "; python -m kerasrl train --help lists them all" in run(
        "-m", "kerasrl", "train", "--config", "x.toml", status=2
    )


@pytest.mark.long
def test_what_is_missing_is_installed_by_the_packages_name(run, tmp_path):
    (tmp_path / "hide.py").write_text(
        "import importlib.util, runpy, sys\n"
        "importlib.util.find_spec = lambda name: None\n"
        "from kerasrl.cli.door import run\n"
        "run('export', sys.argv[1:])\n"
    )
    file = ROOT / "checkpoints/dqn_CartPole-v0_pretrained.h5f"
    errors = run("hide.py", "--weights", file, "--to", "policy.onnx", status=2)
    assert re.search(r'needs onnx, which is not installed: \S+ -m pip install "kerasrl\[export\]"$', errors)


@pytest.mark.long
def test_scripts_run_as_ever(run, tmp_path):
    (tmp_path / "train").write_text("raise SystemExit('a script without an ending')\n")
    (tmp_path / "train.py").write_text(
        "import sys\nfrom rl.agents import DQNAgent\nprint(DQNAgent.__module__, sys.argv)\n"
    )
    assert run("-m", "kerasrl", "train.py", "x") == "kerasrl.legacy.keras_rl.agents ['train.py', 'x']\n"
    assert "no ending" in run("-m", "kerasrl", "./train", status=1).replace("without an", "no")
    assert "train" in run("-m", "kerasrl", "--help")


@pytest.mark.long
def test_everything_public_is_a_name_of_the_package(run, tmp_path):
    out = run("-c", "import kerasrl; from kerasrl import DQNAgent, UserError; print(kerasrl.__file__, kerasrl.__all__)")
    assert "site-packages" in out and "SequentialMemory" in out
    for module in ("train", "config", "model", "callbacks"):
        assert "ModuleNotFoundError" in run("-c", f"import kerasrl, {module}", status=1)
    (code,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs" / "package.md").read_text(), re.DOTALL | re.MULTILINE
    )
    short = code.replace("nb_steps=20_000", "nb_steps=300, eval_interval=0, nb_max_episode_steps=100")
    assert short != code and "film film.gif" in run("-c", short)
    assert (tmp_path / "film.gif").is_file()


@pytest.mark.long
def test_a_folder_of_other_peoples_modules_changes_nothing(run, tmp_path):
    for name in ("config", "run", "train", "test", "callbacks", "random", "queue"):
        (tmp_path / f"{name}.py").write_text("raise NotImplementedError('not asked for')\n")
    (tmp_path / "model.py").write_text(
        "import keras\n\n"
        "def build(state_size, num_actions):\n"
        "    layers = [keras.layers.Flatten(), keras.layers.Dense(7), keras.layers.Dense(num_actions)]\n"
        "    return keras.Sequential([keras.Input((1, state_size)), *layers])\n"
    )
    arguments = ["--nb-steps", "300", "--eval-interval", "150", "--no-jit-compile", "--network", "model:build"]
    assert "step 300 of 300" in run("-m", "kerasrl", "train", *arguments)
    assert "1 seed of CartPole-v0" in run("-m", "kerasrl", "tune", "--seeds", "1", *arguments)


@pytest.mark.long
def test_the_recipe_is_copied_to_be_ones_own(run, tmp_path):
    assert run("-m", "kerasrl", "new", "mine").splitlines()[1].endswith(" mine/train.py")
    assert "step 300 of 300" in run("mine/train.py", "--nb-steps", "300", "--eval-interval", "0", "--no-jit-compile")

"""Who runs in benchmarks/speed.py: the races, the contestants' commands, and the peers' virtual environments."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ENVIRONMENTS = HERE / ".peers"
PACKAGES = {
    "sb3": ["torch==2.13.0", "stable-baselines3==2.9.2", "sbx-rl==0.28.0", "minatar==1.0.15"],
    "cleanrl": [
        "torch==2.13.0", "stable-baselines3==2.9.2", "gymnasium==0.29.1", "jax==0.10.2", "flax", "optax",
        "tensorboard", "tyro",
    ],
    "rejax": ["rejax==0.1.3", "gymnax==0.0.9", "jax==0.10.2"],
    "keras_rl2": ["keras-rl2==1.0.5", "tensorflow==2.4.4", "gym==0.17.3", "protobuf<3.21"],
}  # fmt: skip


@dataclass(frozen=True)
class Peer:
    """Another library in a race."""

    name: str
    environment: str
    """Key of PACKAGES."""
    arguments: tuple[str, ...]
    """Script in peers/ and its arguments."""
    nb_steps: int | None = None
    """Steps that are timed, if not as many as in the race."""


@dataclass(frozen=True)
class Race:
    """Contestants with the same work."""

    title: str
    ours: str
    """Our name in the table."""
    arguments: tuple[str, ...]
    """Arguments of speed_worker.py."""
    peers: tuple[Peer, ...]
    first: int
    """Step after which time is taken."""
    nb_steps: int
    """Steps that are timed."""


def _images(title: str, ours: str, work: str, first: int, nb_steps: int) -> Race:
    threads = {"Stable-Baselines3, 1 thread": "1", "Stable-Baselines3, all threads": "0"}
    peers = [Peer(name, "sb3", ("sb3.py", "--work", work, "--threads", n)) for name, n in threads.items()]
    return Race(title, ours, ("--work", work), tuple(peers), first, nb_steps)


def _networks(agent: str, hidden: str, critic: str, batch: int, first: int, nb_steps: int) -> Race:
    """Return the race of an update a step with other networks; PyTorch may take one thread or all for wide ones."""
    work = ["--work", agent, "--hidden", *hidden.split(), "--batch-size", str(batch)]
    work += ["--critic-hidden", *critic.split()] if critic else []
    names = {f"{SB3}, 1 thread": "1", f"{SB3}, all threads": "0"}
    peers = [Peer(name, "sb3", ("sb3.py", *work, "--threads", n)) for name, n in names.items()]
    widths = " and ".join(_widths(part) for part in (hidden, critic) if part)
    title = f"{'DQN' if agent == 'vectors' else 'DDPG'}, {widths} nodes, batch {batch}, 1 update a step"
    return Race(title, "this project", tuple(work), tuple(peers), first, nb_steps)


def _widths(layers: str) -> str:
    numbers = layers.split()
    return f"{len(numbers)} x {numbers[0]}"


SB3, SBX = "Stable-Baselines3", "SBX (Stable-Baselines3 on JAX)"
RACES = {
    "vectors": (
        Race(
            "one update a step",
            "this project",
            (),
            (
                Peer(SB3, "sb3", ("sb3.py",)),
                Peer(SBX, "sb3", ("sb3.py", "--sbx")),
                Peer("CleanRL's dqn.py", "cleanrl", ("cleanrl_dqn.py", "--file", "cleanrl/dqn.py")),
                Peer("CleanRL's dqn_jax.py", "cleanrl", ("cleanrl_dqn.py", "--file", "cleanrl/dqn_jax.py")),
                Peer("keras-rl2 1.0.5 on TensorFlow 2.4.4", "keras_rl2", ("keras_rl2.py",), nb_steps=4_000),
                Peer("ceiling: rejax, environment compiled, too", "rejax", ("rejax_dqn.py",)),
            ),
            first=2_000,
            nb_steps=20_000,
        ),
        Race(
            "bursts: 8 updates every 8 steps",
            "this project, `train_interval=8`, `gradient_steps=8`",
            ("--burst", "8"),
            (
                Peer(f"{SB3}, 8 and 8", "sb3", ("sb3.py", "--burst", "8")),
                Peer(f"{SBX}, 8 and 8", "sb3", ("sb3.py", "--burst", "8", "--sbx")),
            ),
            first=2_000,
            nb_steps=20_000,
        ),
    ),
    "widths": (
        _networks("vectors", "64 64", "", 64, first=2_000, nb_steps=10_000),
        _networks("vectors", "128 128", "", 128, first=2_000, nb_steps=5_000),
        _networks("vectors", "256 256", "", 128, first=2_000, nb_steps=3_000),
    ),
    "ddpg": (
        _networks("ddpg", "16 16 16", "32 32 32", 32, first=2_000, nb_steps=10_000),
        _networks("ddpg", "64 64", "64 64", 64, first=2_000, nb_steps=10_000),
        _networks("ddpg", "256 256", "256 256", 256, first=1_000, nb_steps=2_000),
    ),
    "images": (
        _images("MinAtar's Breakout, 1 update every 4 steps", "this project, 1 thread", "minatar", 1_000, 5_000),
        _images("4 frames of 84 x 84, 1 update every 4 steps", "this project, all threads", "frames", 200, 600),
    ),
}


def run(command: list[str], timeout: int = 1800) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


def worker(folder: Path = ROOT) -> list[str]:
    """Return the command that runs a checkout of this project."""
    return [sys.executable, str(HERE / "speed_worker.py"), str(folder)]


def last_line(result: subprocess.CompletedProcess) -> str:
    return (result.stderr.strip().splitlines() or [f"status {result.returncode}"])[-1]


def python38(named: str | None) -> str | None:
    """Return the Python 3.8 that is named, or one that is found."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [named] if named else ["python3.8", *map(str, sorted(versions.glob("3.8.*/bin/python")))]
    for candidate in candidates:
        try:
            if run([candidate, "-c", "import sys; assert sys.version_info[:2] == (3, 8)"]).returncode == 0:
                return candidate
        except OSError:
            continue
    return None


def install(name: str, python: str) -> str:
    """Make a peer's virtual environment, unless there is one with these packages; return why it cannot be, or ""."""
    folder, packages = ENVIRONMENTS / name, PACKAGES[name]
    complete = folder / "complete"
    if complete.exists() and complete.read_text() == "\n".join(packages):
        return ""
    print(f"installing {', '.join(packages)} ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q"]
    for command in ([python, "-m", "venv", str(folder)], [*pip, *packages]):
        result = run(command)
        if result.returncode:
            return last_line(result)
    complete.write_text("\n".join(packages))
    return ""


def describe(folder: Path) -> str:
    """Return the commit of a checkout, or the folder's name if it is none."""
    result = run(["git", "-C", str(folder), "describe", "--always", "--dirty"])
    return f"commit {result.stdout.strip()}" if result.returncode == 0 else folder.name


@dataclass(frozen=True)
class Contestants:
    """Makes the commands of the contestants from what the command line names."""

    baseline: Path | None
    cleanrl: Path | None
    python38: str | None

    def ours(self) -> Iterator[tuple[str, Path]]:
        """Yield names and folders of this project and of the other checkout of it, if there is one."""
        yield "this project", ROOT
        if self.baseline:
            yield describe(self.baseline), self.baseline

    def commands(self, race: Race) -> tuple[dict[str, list[str]], dict[str, str]]:
        """Return the command of each contestant, ours first, and the reasons of those that are missing."""
        found, missing = {}, {}
        for name, folder in self.ours():
            full_name = race.ours.replace("this project", name)
            found[full_name] = [*worker(folder), *race.arguments, *self._steps(race, race.nb_steps)]
        for peer in race.peers:
            reason = self._missing(peer)
            if reason:
                missing[peer.name] = reason
                continue
            script, *arguments = peer.arguments
            if peer.environment == "cleanrl":
                arguments[-1] = str(self.cleanrl / arguments[-1])
            python = str(ENVIRONMENTS / peer.environment / "bin" / "python")
            steps = self._steps(race, peer.nb_steps or race.nb_steps)
            found[peer.name] = [python, str(HERE / "peers" / script), *arguments, *steps]
        return found, missing

    def _missing(self, peer: Peer) -> str:
        if peer.environment == "cleanrl" and self.cleanrl is None:
            return "no --cleanrl"
        python = python38(self.python38) if peer.environment == "keras_rl2" else sys.executable
        if python is None:
            return "no Python 3.8 found (--python38 names one)"
        return install(peer.environment, python)

    @staticmethod
    def _steps(race: Race, nb_steps: int) -> list[str]:
        return ["--first", str(race.first), "--last", str(race.first + nb_steps)]

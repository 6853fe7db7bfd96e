"""Measure training speed side by side with Stable-Baselines3 and keras-rl2 on identical work.

    python benchmarks/speed.py                 every peer, 5 repetitions, about 15 minutes
    python benchmarks/speed.py --replay        prioritised replay and n-step returns only, about 3 minutes
    python benchmarks/speed.py --flat          one run of a million steps: does a step's cost grow?
    python benchmarks/speed.py --help

The work: CartPole-v0, 3 x 16 relu, batch 32, replay memory 50,000, Adam 1e-3, soft target 1e-2, one update for each
step, epsilon from 1 to .1 in 10,000 steps. Each run is a process of its own; the contestants take turns, so that a busy
machine is busy for all. Speed is counted between step 2,000 and the last, without start-up and compilation, which the
cold start tells. Peers get virtual environments in benchmarks/.peers; one that cannot be installed is named as missing.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE / ".peers"
FIRST_STEP = 2_000
# name -> arguments of speed_worker.py
OURS = {
    "this project": ["--train-interval", "1"],
    "this project, train_interval=8, gradient_steps=8": ["--train-interval", "8"],
}


def run(command: list[str], timeout: int = 1800) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


def install(name: str, python: str | None, steps: list[list[str]]) -> tuple[str | None, str]:
    """Make a peer's virtual environment; return its interpreter, or None and why it is missing."""
    if python is None:
        return None, "no Python 3.8 found (--python38 names one)"
    interpreter = PEERS / name / "bin" / "python"
    complete = PEERS / name / "complete"
    if not complete.exists():
        print(f"installing {name} ...", flush=True)
        shutil.rmtree(PEERS / name, ignore_errors=True)
        for command in [[python, "-m", "venv", str(PEERS / name)], *[[str(interpreter), *s] for s in steps]]:
            result = run(command)
            if result.returncode:
                return None, (result.stderr.strip().splitlines() or ["unknown error"])[-1]
        complete.touch()
    return str(interpreter), ""


def find_python38(named: str | None) -> str | None:
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [named] if named else ["python3.8", *map(str, sorted(versions.glob("3.8.*/bin/python")))]
    for candidate in candidates:
        try:
            if run([candidate, "-c", "import sys; assert sys.version_info[:2] == (3, 8)"]).returncode == 0:
                return candidate
        except OSError:
            continue
    return None


def contestants(python38: str | None) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the command of each contestant, and the reasons of those that are missing."""
    pip = ["-m", "pip", "install", "-q"]
    found = {name: [sys.executable, str(HERE / "speed_worker.py"), *options] for name, options in OURS.items()}
    missing = {}
    for name, python, steps, script in (
        (
            "Stable-Baselines3",
            sys.executable,
            [[*pip, "torch==2.13.0"], [*pip, "stable-baselines3"]],
            "sb3.py",
        ),
        (
            "keras-rl2 1.0.5 on TensorFlow 2.4.4",
            find_python38(python38),
            [[*pip, "keras-rl2==1.0.5", "tensorflow==2.4.4", "gym==0.17.3", "protobuf<3.21"]],
            "keras_rl2.py",
        ),
    ):
        interpreter, reason = install(script.removesuffix(".py"), python, steps)
        if interpreter:
            found[name] = [interpreter, str(HERE / "peers" / script)]
        else:
            missing[name] = reason
    return found, missing


def measure(command: list[str], seed: int, steps: int) -> dict:
    """Run one contestant; return its steps per second, cold start in seconds and peak memory in MB."""
    started = time.time()
    result = run([*command, "--seed", str(seed), "--first", str(FIRST_STEP), "--last", str(FIRST_STEP + steps)])
    if result.returncode:
        raise RuntimeError(f"{command} failed:\n{result.stderr[-2000:]}")
    found = json.loads(result.stdout.strip().splitlines()[-1])
    return {
        "steps_per_second": steps / found["seconds"],
        "cold_start": found["first_learned"] - started,
        "peak_memory": found["peak_memory"],
        "versions": found["versions"],
    }


def compare(repetitions: int, python38: str | None) -> dict:
    commands, missing = contestants(python38)
    runs: dict[str, list[dict]] = {name: [] for name in commands}
    for repetition in range(repetitions):
        for name, command in commands.items():
            steps = 4_000 if name.startswith("keras-rl2") else 20_000
            runs[name].append(measure(command, repetition, steps))
            print(f"  {repetition + 1}/{repetitions} {name}: {runs[name][-1]['steps_per_second']:,.0f}", flush=True)
    medians = {
        name: {key: statistics.median(r[key] for r in rs) for key in ("steps_per_second", "cold_start", "peak_memory")}
        for name, rs in runs.items()
    }
    versions = {name: rs[0]["versions"] for name, rs in runs.items()}
    return {"medians": medians, "runs": runs, "missing": missing, "versions": versions}


def replay() -> dict:
    """Return the median microseconds of processor time of a step, by steps in the memory and kind of replay."""
    worker, found = [sys.executable, str(HERE / "speed_worker.py")], {}
    for nb_steps in (50_000, 1_000_000):
        result = run([*worker, "--replay", str(nb_steps)])
        if result.returncode:
            raise RuntimeError(f"the comparison of replays failed:\n{result.stderr[-2000:]}")
        runs = json.loads(result.stdout.strip().splitlines()[-1])
        # Blocks are compared with the uniform one of their turn.
        found[str(nb_steps)] = {
            name: {
                "microseconds": statistics.median(values),
                "ratio": statistics.median(a / b for a, b in zip(values, runs["uniform"], strict=True)),
            }
            for name, values in runs.items()
        }
    return found


def replay_table(found: dict) -> str:
    lines = ["| replay | steps in the memory | microseconds a step | x uniform |", "| --- | ---: | ---: | ---: |"]
    for nb_steps, kinds in found.items():
        for name, value in kinds.items():
            lines.append(f"| {name} | {int(nb_steps):,} | {value['microseconds']:.0f} | {value['ratio']:.2f} |")
    return "\n".join(lines)


def table(found: dict) -> str:
    medians = found["medians"]
    peers = [name for name in medians if name not in OURS]
    heads = ["", "steps/s", *(f"x {name.split()[0]}" for name in peers), "cold start, s", "peak memory, MB"]
    rows = [heads, ["---"] + ["---:"] * (len(heads) - 1)]
    for name, values in medians.items():
        ratios = [f"{values['steps_per_second'] / medians[peer]['steps_per_second']:.1f}" for peer in peers]
        speed, memory = f"{values['steps_per_second']:,.0f}", f"{values['peak_memory']:,.0f}"
        rows.append([name, speed, *ratios, f"{values['cold_start']:.1f}", memory])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines + [f"missing: {name} ({reason})" for name, reason in found["missing"].items()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--replay", action="store_true", help="compare kinds of replay only")
    parser.add_argument("--flat", action="store_true", help="measure the cost of steps up to the millionth instead")
    parser.add_argument("--python38", help="a Python 3.8 for keras-rl2")
    parser.add_argument("--json", default=str(HERE / "speed.json"), help="where to write the figures")
    options = parser.parse_args()
    machine = (
        f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}, Python {platform.python_version()}"
    )
    worker = [sys.executable, str(HERE / "speed_worker.py")]
    if options.flat:
        subprocess.run([*worker, "--flat"], check=True)
        return
    if options.replay:
        found = json.loads(Path(options.json).read_text()) | {"replay": replay()}
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n")
        print(f"{machine}; medians of processor time\n\n{replay_table(found['replay'])}")
        return
    found = {"machine": machine, **compare(options.repetitions, options.python38)}
    found["replay"] = replay()
    found["floor_microseconds"] = json.loads(run([*worker, "--floor"]).stdout.strip().splitlines()[-1])
    Path(options.json).write_text(json.dumps(found, indent=1) + "\n")
    print(f"\n{machine}; medians of {options.repetitions} interleaved runs\n\n{table(found)}")
    print(f"\nReplay, medians of processor time:\n\n{replay_table(found['replay'])}")
    print(f"\nThe floor, the same update inside one compiled loop: {found['floor_microseconds']:.1f} microseconds")


if __name__ == "__main__":
    main()

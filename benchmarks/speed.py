"""Measure training speed side by side with other libraries on identical work.

    python benchmarks/speed.py                             every table, 3 repetitions, about 20 minutes
    python benchmarks/speed.py --tables command replay     some tables
    python benchmarks/speed.py --baseline ../before        beside an older checkout of this project
    python benchmarks/speed.py --flat                      one run of a million steps: does a step's cost grow?
    python benchmarks/speed.py --help

The tables:
    vectors   CartPole-v0, 3 x 16 relu, batch 32, replay memory 50,000, Adam 1e-3, soft target 1e-2, epsilon from 1 to
              .1 in 10,000 steps; one update for each step, and 8 updates every 8 steps
    widths    the same with wider networks and larger batches
    ddpg      Pendulum-v1, an update for each step, with three sizes of networks
    images    MinAtar's Breakout with the network of its preset, and random frames of 84 x 84 with that of Atari's
    command   `python train.py`, from the start of the process to its end
    replay    prioritised replay and n-step returns
    episodes  what the ends of episodes cost, and numbers in info

Each run is a process of its own; the contestants take turns, so that a busy machine is busy for all. Speed is counted
from a first step to the last, without start-up and compilation, which the cold start tells. Peers get virtual
environments in benchmarks/.peers; one that cannot be installed or fails is named as missing. CleanRL's files are in no
package: --cleanrl names a checkout. benchmarks/speed.json is written after each run, so that a command that is stopped
keeps what it has.
"""

import argparse
import contextlib
import datetime
import fcntl
import json
import os
import platform
import pty
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path
from typing import Any

from contestants import HERE, RACES, Contestants, Race, last_line, run, worker

SPEEDS = ["steps/s", "slowest to fastest run", "this project / it"]
TABLES = (*RACES, "command", "replay", "episodes")


class Results:
    """The figures of all tables, in a file that is whole after each of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        found = json.loads(path.read_text()) if path.exists() else {}
        titles = [race.title for races in RACES.values() for race in races]
        self.found = {name: found[name] for name in (*titles, *TABLES, "floor") if name in found}

    def begin(self, name: str) -> dict[str, Any]:
        """Return the empty figures of a table, with when and where they are made."""
        cores, processor = os.cpu_count(), platform.processor() or platform.machine()
        machine = f"{cores} cores, {processor}, Python {platform.python_version()}"
        self.found[name] = {"date": datetime.date.today().isoformat(), "machine": machine}
        return self.found[name]

    def save(self) -> None:
        unfinished = self.path.with_suffix(".tmp")
        unfinished.write_text(json.dumps(self.found, indent=1) + "\n")
        unfinished.replace(self.path)


def take_turns(commands: dict[str, list[str]], repetitions: int, found: dict[str, Any], results: Results) -> None:
    """Run the contestants by turns; one that fails is missing from then on, unless it is ours."""
    ours, runs = next(iter(commands)), found.setdefault("runs", {})
    for repetition in range(repetitions):
        for name in list(commands):
            try:
                figures = measure(commands[name], repetition)
            except RuntimeError as error:
                if name == ours:
                    sys.exit(f"{name}: {error}")
                del commands[name]
                runs.pop(name, None)
                found["missing"][name] = str(error)
                print(f"  {repetition + 1}/{repetitions} {name} fails: {error}", flush=True)
            else:
                runs.setdefault(name, []).append(figures)
                speed = figures["steps_per_second"]
                print(f"  {repetition + 1}/{repetitions} {name}: {speed:,.0f}", flush=True)
            results.save()


def measure(command: list[str], seed: int) -> dict[str, Any]:
    """Run one contestant; return its steps per second, cold start in seconds and peak memory in MB.

    Raises:
        RuntimeError: It fails, or takes more than half an hour.
    """
    started = time.time()
    try:
        result = run([*command, "--seed", str(seed)])
    except subprocess.TimeoutExpired:
        raise RuntimeError("takes more than half an hour") from None
    if result.returncode:
        raise RuntimeError(last_line(result))
    found = json.loads(result.stdout.strip().splitlines()[-1])
    first, last = (int(command[command.index(option) + 1]) for option in ("--first", "--last"))
    return {
        "steps_per_second": (last - first) / found["seconds"],
        "cold_start": found["first_learned"] - started,
        "peak_memory": found["peak_memory"],
        "versions": found["versions"],
    }


def race(race: Race, contestants: Contestants, repetitions: int, results: Results) -> str:
    """Run a race; return its table in Markdown."""
    print(race.title, flush=True)
    commands, missing = contestants.commands(race)
    found = results.begin(race.title) | {"missing": missing}
    results.found[race.title] = found
    take_turns(commands, repetitions, found, results)
    heads = ["", *SPEEDS, "cold start, s", "peak memory, MB"]
    rows = []
    for name, runs in found["runs"].items():
        cold, memory = (statistics.median(one[key] for one in runs) for key in ("cold_start", "peak_memory"))
        rows.append([name, *speeds(found["runs"], name), f"{cold:.1f}", f"{memory:,.0f}"])
    lines = [f"{race.title} ({found['machine']}; medians of {repetitions} interleaved runs)", "", markdown(heads, rows)]
    lines += ["", faster(found["runs"])]
    if missing:
        lines += ["", f"Missing: {', '.join(f'{name} ({reason})' for name, reason in missing.items())}."]
    return "\n".join(lines)


def ratios(runs: dict[str, list[dict]]) -> dict[str, float]:
    """Return for each contestant how many times as fast the first one is: median over the turns, each with itself."""
    ours = next(iter(runs.values()))
    return {
        name: statistics.median(
            mine["steps_per_second"] / its["steps_per_second"] for mine, its in zip(ours, theirs, strict=False)
        )
        for name, theirs in runs.items()
    }


def speeds(runs: dict[str, list[dict]], name: str) -> list[str]:
    """Return the cells that tell a contestant's speed: median, range, and ours divided by it."""
    values = [one["steps_per_second"] for one in runs[name]]
    span = f"{min(values):,.0f} to {max(values):,.0f}"
    return [f"{statistics.median(values):,.0f}", span, f"{ratios(runs)[name]:.2f}"]


def faster(runs: dict[str, list[dict]]) -> str:
    """Say who is faster than the first contestant."""
    found = [f"{name} ({1 / ratio:.2f} times as fast)" for name, ratio in ratios(runs).items() if ratio < 1]
    return f"Faster than this project: {', '.join(found)}." if found else "Nobody here is faster than this project."


def command(contestants: Contestants, repetitions: int, results: Results) -> str:
    """Time `python train.py`; return its table in Markdown."""
    print("python train.py", flush=True)
    found = results.begin("command")
    runs = found["runs"] = {}
    for repetition in range(repetitions):
        for name, folder in contestants.ours():
            runs.setdefault(name, []).append(train(folder, repetition))
            print(f"  {repetition + 1}/{repetitions} {name}: {runs[name][-1]['steps_per_second']:,.0f}", flush=True)
            results.save()
    heads = ["", *SPEEDS, "steps/s of its live line", "seconds"]
    rows = []
    for name, its in runs.items():
        line, seconds = (statistics.median(one[key] for one in its) for key in ("live_line", "seconds"))
        rows.append([name, *speeds(runs, name), f"{line:,.0f}", f"{seconds:.1f}"])
    first = f"`python train.py`, the whole process ({found['machine']}; medians of {repetitions} interleaved runs)"
    return "\n".join([first, "", markdown(heads, rows), "", faster(runs)])


def train(folder: Path, seed: int, nb_steps: int = 50_000) -> dict[str, float]:
    """Run `python train.py` in a terminal; return its speed in steps per second, and what its live line says last."""
    with tempfile.TemporaryDirectory() as place:
        terminal, screen = pty.openpty()
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("4H", 50, 250, 0, 0))  # wide enough for the whole line
        shown = bytearray()
        reader = threading.Thread(target=_read, args=[terminal, shown])
        reader.start()
        arguments = ["--seed", str(seed), "--nb-steps", str(nb_steps)]
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, str(folder / "train.py"), *arguments], stdout=screen, stderr=screen, cwd=place
        )
        seconds = time.perf_counter() - started
        os.close(screen)
        reader.join()
        os.close(terminal)
    if done.returncode:
        sys.exit(f"train.py fails:\n{shown.decode(errors='replace')}")
    live_line = re.findall(r"([\d,]+) steps/s", shown.decode(errors="replace"))[-1]
    return {
        "steps_per_second": nb_steps / seconds, "live_line": float(live_line.replace(",", "")), "seconds": seconds,
    }  # fmt: skip


def _read(terminal: int, shown: bytearray) -> None:
    with contextlib.suppress(OSError):  # there is nobody at the other end any more
        while part := os.read(terminal, 65536):
            shown += part


def replay(results: Results) -> str:
    """Compare kinds of replay by the processor time of a step; return their table in Markdown."""
    print("replay", flush=True)
    found, rows = results.begin("replay"), []
    for nb_steps in (50_000, 1_000_000):
        found[str(nb_steps)] = compared([*worker(), "--replay", str(nb_steps)])
        results.save()
        rows += [[name, f"{nb_steps:,}", *cells(its)] for name, its in found[str(nb_steps)].items()]
    heads = ["replay", "steps in the memory", "microseconds a step", "x uniform"]
    return f"replay ({found['machine']}; medians of processor time)\n\n{markdown(heads, rows)}"


def episodes(contestants: Contestants, results: Results) -> str:
    """Compare kinds of episodes by the processor time of a step; return their table in Markdown."""
    print("episodes", flush=True)
    found, rows = results.begin("episodes"), []
    for name, folder in contestants.ours():
        found[name] = compared([*worker(folder), "--episodes"])
        results.save()
        rows += [[name, kind, *cells(its)] for kind, its in found[name].items()]
    heads = ["", "episodes", "microseconds a step", "x episodes of 1,000"]
    return f"episodes ({found['machine']}; medians of processor time)\n\n{markdown(heads, rows)}"


def compared(command: list[str]) -> dict[str, dict[str, float]]:
    """Return what a worker measures by turns: microseconds a step of each kind, and their ratio to the first kind's."""
    result = run(command)
    if result.returncode:
        sys.exit(f"the comparison fails: {last_line(result)}")
    runs = json.loads(result.stdout.strip().splitlines()[-1])
    first = next(iter(runs.values()))
    return {
        name: {
            "microseconds": statistics.median(values),
            "ratio": statistics.median(a / b for a, b in zip(values, first, strict=True)),  # each with that of its turn
        }
        for name, values in runs.items()
    }


def cells(its: dict[str, float]) -> list[str]:
    return [f"{its['microseconds']:.0f}", f"{its['ratio']:.2f}"]


def floor(results: Results) -> str:
    """Time the update of the vectors when many of them are one call; return it in a sentence."""
    found = results.begin("floor")
    found["microseconds"] = json.loads(run([*worker(), "--floor"]).stdout.strip().splitlines()[-1])
    results.save()
    return f"The floor, the same update inside one compiled loop: {found['microseconds']:.1f} microseconds"


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(heads) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, rule, *rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES, metavar="NAME", help=", ".join(TABLES))
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--baseline", type=Path, metavar="FOLDER", help="another checkout of this project")
    parser.add_argument("--cleanrl", type=Path, metavar="FOLDER", help="a checkout of CleanRL")
    parser.add_argument("--python38", help="a Python 3.8 for keras-rl2")
    parser.add_argument(
        "--json", type=Path, default=HERE / "speed.json", metavar="FILE", help="where to write the figures"
    )
    parser.add_argument("--flat", action="store_true", help="measure the cost of steps up to the millionth instead")
    options = parser.parse_args()
    for folder, file in ((options.baseline, "train.py"), (options.cleanrl, "cleanrl/dqn.py")):
        if folder and not (folder / file).is_file():
            parser.error(f"{folder} has no {file}: name the folder of a checkout")
    if options.flat:
        subprocess.run([*worker(), "--flat"], check=True)
        return
    baseline, cleanrl = (folder and folder.resolve() for folder in (options.baseline, options.cleanrl))
    contestants, results = Contestants(baseline, cleanrl, options.python38), Results(options.json)
    texts = []
    for table in options.tables:
        texts += [race(one, contestants, options.repetitions, results) for one in RACES.get(table, ())]
        if table == "vectors":
            texts.append(floor(results))
        elif table == "command":
            texts.append(command(contestants, options.repetitions, results))
        elif table == "replay":
            texts.append(replay(results))
        elif table == "episodes":
            texts.append(episodes(contestants, results))
    print("\n" + "\n\n".join(texts))


if __name__ == "__main__":
    main()

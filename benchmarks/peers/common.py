"""What the contestants of benchmarks/speed.py share. Each runs in an interpreter of its own, from Python 3.8 on."""

import argparse
import json
import resource
import time
from typing import Any


def arguments() -> argparse.ArgumentParser:
    """Return the options that each contestant takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=2_000, help="step after which time is taken")
    parser.add_argument("--last", type=int, default=22_000, help="last step")
    return parser


def peak_memory() -> float:
    """Return the most memory that this process has taken, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Clock:
    """Note when steps `first` and `last` end, and when the first update has been made."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last, self.steps = first, last, 0
        self.start = self.end = 0.0
        self.first_learned = 0.0

    def tick(self, learned: bool) -> None:
        """Count a step; `learned` tells whether there has been an update."""
        self.steps += 1
        if learned and not self.first_learned:
            self.first_learned = time.time()
        if self.steps == self.first:
            self.start = time.perf_counter()
        elif self.steps == self.last:
            self.end = time.perf_counter()

    def report(self, **versions: Any) -> None:
        """Print the figures as one line of JSON: seconds, time of the first update, peak memory in MB, versions."""
        found = {
            "seconds": self.end - self.start,
            "first_learned": self.first_learned,
            "peak_memory": peak_memory(),
            "versions": versions,
        }
        print(json.dumps(found))

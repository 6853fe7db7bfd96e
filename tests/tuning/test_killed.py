"""`tune` is killed again and again while it writes, and started again: nothing is lost, and nothing is left."""

import csv
import json
import signal

import numpy as np
import pytest

from kerasrl.config.files import read_toml
from kerasrl.storage import weights

# A cluster that is the command's own process, so that all writes are in one, and what ends it at the n-th of them.
STRUCK = """
import os, sys
import sqlalchemy.engine, sqlalchemy.event
from kerasrl.tools.tune import command, worker

class Here:
    storage, room = "", 1

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, next_job, on_news, on_end):
        while (job := next_job()) is not None:
            on_end(job, worker.work(job, lambda news: on_news(job, news)))

command.Cluster, nb = Here, {nb}

def count(event, arguments):
    global nb
    if event in ("commit", "os.rename") or (event == "os.remove" and not str(arguments[0]).endswith(".tmp")):
        nb -= 1
        if nb == 0:
            os.kill(os.getpid(), 9)

sys.addaudithook(count)
sqlalchemy.event.listen(sqlalchemy.engine.Engine, "commit", lambda connection: count("commit", ()))
"""
COMMON = ["--nb-steps", "40", "--nb-max-episode-steps", "10", "--nb-steps-warmup", "15", "--hidden-layers", "4"]
COMMON += ["--eval-interval", "20", "--eval-episodes", "1", "--state-interval", "15", "--no-jit-compile"]


def until_it_ends(python, folder, words, first, more):
    """Start it, each time to be killed after more writes, until it ends by itself; return how often it was killed."""
    nb_killed = 0
    while True:
        nb = -1 if first is None else first + more * nb_killed
        ran = python.run(folder, "-m", "kerasrl", "tune", *words, *COMMON, before=STRUCK.format(nb=nb))
        if ran.status != -signal.SIGKILL:
            break
        nb_killed += 1
    assert (ran.status, ran.errors) == (0, "")
    assert not [path for path in folder.rglob(".*") if path.name != ".lock"]
    return nb_killed


@pytest.mark.long
def test_seeds_that_are_killed_at_their_writes_are_as_never_killed(python, tmp_path):
    found = []
    for name, killed in (("whole", (None, 0)), ("killed", (3, 3))):
        (tmp_path / name).mkdir()
        nb_killed = until_it_ends(python, tmp_path / name, ["--seeds", "1", "--folder", "runs"], *killed)
        assert (nb_killed > 3) == (name == "killed")
        home = tmp_path / name / "runs" / "seed-0"
        files = [home / f"dqn_CartPole-v0_{which}.h5f" for which in ("best", "weights")]
        arrays = [array for file in files for layer in weights.read(file).layers for array in layer.values()]
        log = json.loads((home / "dqn_CartPole-v0_log.json").read_text())
        result = json.loads((home / "result.json").read_text())
        assert (tmp_path / name / "runs" / "curves.png").is_file()
        del result["seconds"], log["duration"], log["run"]
        found.append((arrays, log, result))
    (arrays, *others), (same_arrays, *same_others) = found
    assert all(map(np.array_equal, arrays, same_arrays)) and others == same_others


@pytest.mark.long
def test_a_search_that_is_killed_at_its_writes_loses_no_trial_and_leaves_nothing(python, tmp_path):
    (tmp_path / "space.toml").write_text("learning_rate = {low = 1e-4, high = 1e-2, log = true}\n")
    words = ["--space", "space.toml", "--trials", "2", "--trial-seeds", "1", "--folder", "runs"]
    assert until_it_ends(python, tmp_path, words, 12, 13) > 3
    with (tmp_path / "runs" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["trial"], row["state"]) for row in rows] == [("0", "finished"), ("1", "finished")]
    best = max(rows, key=lambda row: float(row["fresh_score"]))
    assert read_toml(tmp_path / "runs" / "best.toml")["learning_rate"] == float(best["learning_rate"])
    for row in rows:  # its weights were trained with what the table says
        home = tmp_path / "runs" / "trials" / f"00{row['trial']}" / "seed-1000"
        assert weights.read(home / "dqn_CartPole-v0_best.h5f").metadata["learning_rate"] == float(row["learning_rate"])
        log = json.loads((home / "dqn_CartPole-v0_log.json").read_text())
        assert max(reward for reward in log["evaluation_reward"] if reward) == pytest.approx(float(row["score"]))
        assert not list(home.glob("*_state*"))  # which would fill a disk

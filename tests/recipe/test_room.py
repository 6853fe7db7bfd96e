"""What a replay memory can grow to, what there is for it, and what is said of both."""

import tracemalloc

import numpy as np
import pytest
from gym import spaces

from kerasrl import CEMConfig, Config, PrioritizedMemory, SequentialMemory, train
from kerasrl.cli.door import run as run_command
from kerasrl.training import room

SMALL = {"nb_steps": 60, "eval_interval": 0, "hidden_layers": (4,), "batch_size": 4, "seed": 1, "state_interval": 10}
SMALL |= {"verbose": 0, "nb_max_episode_steps": 10}
OBSERVATIONS = {
    "CartPole": spaces.Box(-1, 1, (4,), np.float32),
    "Pendulum, prioritised": spaces.Box(-1, 1, (3,), np.float64),
    "boards": spaces.Box(0, 1, (10, 10, 4), np.bool_),
    "screens": spaces.Box(0, 255, (40, 40), np.uint8),
    "parts": spaces.Dict({"near": spaces.Box(-1, 1, (6,), np.float32), "far": spaces.Box(0, 9, (3, 3), np.int16)}),
    "a number": spaces.Discrete(7),
}


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_the_size_is_that_of_a_memory_that_is_full(name):
    space, limit = OBSERVATIONS[name], 4_000
    action = np.zeros(2, np.float32) if name.startswith("Pendulum") else 1
    observations = [space.sample() for _ in range(5)]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        window_length = 4 if name == "screens" else 1
        memory = (PrioritizedMemory if "prioritised" in name else SequentialMemory)(limit, window_length)
        for step in range(limit):
            memory.append(observations[step % 5], action, 1.0, step % 50 == 49)
            if step == 10:
                told = memory.bytes_per_step(packs=True)
                memory.packed()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told * limit == pytest.approx(after - before, rel=0.02, abs=10_000)  # which the objects take
    if name == "CartPole":
        assert told == 78


@pytest.fixture
def has(tmp_path, monkeypatch):
    """A function that gives the machine so many bytes."""
    monkeypatch.chdir(tmp_path)
    return lambda nb_bytes: monkeypatch.setattr(room, "of_machine", lambda: nb_bytes)


@pytest.mark.long
def test_a_memory_that_needs_more_than_half_is_noted_and_one_that_needs_more_than_all_refused(
    has, noted, refused, tmp_path
):
    has(60 * 78 * 2 - 2)
    with noted("memory_limit=50"):
        train(Config(**SMALL))
    files = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    has(60 * 78 - 1)
    with refused("memory_limit=20"):
        train(Config(**SMALL, overwrite=True))
    with refused("memory_limit=20"):  # the machine that a run is resumed on may be another one
        train(Config(**SMALL, resume=True))
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == files


@pytest.mark.long
def test_in_a_shell_the_option_is_named(has, capsys, said):
    has(50_000 * 78 - 1)
    with pytest.raises(SystemExit) as stop:
        run_command("train", ["--nb-steps", "60000", "--eval-interval", "0"])
    assert stop.value.code == 2
    assert "--memory-limit 20000" in said(capsys.readouterr().err)


def test_a_search_for_weights_keeps_those_of_episodes(has, refused):
    nb_weights = 4 * 2 + 2
    has(30 * 8 * nb_weights - 1)
    with refused("memory_limit=10"):
        train(CEMConfig(nb_steps=60, memory_limit=30, batch_size=10, eval_interval=0, verbose=0))


@pytest.mark.parametrize(("size", "text"), [(999, "999 bytes"), (1e3, "1.0 kB"), (5.26e6, "5.3 MB"), (7e10, "70.0 GB")])
def test_sizes_are_told_in_words(size, text):
    assert room.in_words(size) == text


@pytest.mark.parametrize(
    ("bytes_per_step", "nb_steps", "there_is", "told"),
    [
        (78, 50_000, None, ""),
        (7_074, 1_000_000, None, "the replay memory can grow to 7.1 GB"),
        (7_074, 1_000_000, 16 * 10**9, "the replay memory can grow to 7.1 GB"),
        (7_074, 1_000_000, 2 * 7_074_000_000, "the replay memory can grow to 7.1 GB"),
        (999, 1_000_000, 2 * 10**9, ""),
    ],
)
def test_what_is_large_is_told(bytes_per_step, nb_steps, there_is, told):
    assert room.told_of(bytes_per_step, nb_steps, there_is) == told


GROUPS = {
    "none": ({}, 800),
    "no limit": ({"sys/fs/cgroup/memory.max": "max\n", "proc/self/cgroup": "0::/\n"}, 800),
    "container": ({"sys/fs/cgroup/memory.max": "500\n", "proc/self/cgroup": "0::/\n"}, 500),
    "job": (
        {
            "proc/self/cgroup": "0::/system.slice/job_7/step_0/user\n",
            "sys/fs/cgroup/system.slice/job_7/step_0/user/memory.max": "max\n",
            "sys/fs/cgroup/system.slice/job_7/memory.max": "400\n",
        },
        400,
    ),
    "larger than the machine": ({"sys/fs/cgroup/memory.max": "900\n"}, 800),
    "older": (
        {
            "proc/self/cgroup": "9:cpu,cpuacct:/a\n5:memory:/slurm/job_7\n1:name=systemd:/b\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/slurm/memory.limit_in_bytes": "300\n",
        },
        300,
    ),
    "older, in a container": ({"sys/fs/cgroup/memory/memory.limit_in_bytes": "200\n"}, 200),
    "nonsense": ({"proc/self/cgroup": "x\n\n0::\n3:memory\n", "sys/fs/cgroup/memory.max": "-5"}, 800),
}


@pytest.mark.parametrize("name", GROUPS)
def test_the_smallest_of_all_limits_counts(name, tmp_path, monkeypatch):
    files, expected = GROUPS[name]
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": 200, "SC_PAGE_SIZE": 4}.__getitem__)
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert room.of_machine(tmp_path) == expected


def test_where_the_system_does_not_tell_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.delattr("os.sysconf")  # as on Windows
    assert room.of_machine(tmp_path) is None


def test_this_machine_has_memory():
    assert room.of_machine() > 10**8

"""`fit` and `test`: turns of agent and environment, and what callbacks hear, beside rl.core's own loops."""

import json
import warnings

import keras
import numpy as np
import pytest
import rl.callbacks
import rl.core
import rl.policy
from keras import layers

from kerasrl import DQNAgent, SequentialMemory, UserError


class ActionSpace:
    def __init__(self):
        self.nb_samples = 0

    def sample(self):
        self.nb_samples += 1
        return self.nb_samples % 2


class ScriptedEnv:
    """Episodes of the given lengths, in turn, in the protocol of gym 0.26 or, with `old`, of Keras-RL's time."""

    def __init__(self, lengths=(4, 1, 6, 2), old=False):
        self.lengths, self.old, self.episode, self.i = lengths, old, -1, 0
        self.action_space = ActionSpace()

    def observe(self):
        self.i += 1
        return np.array([self.i, self.nb_steps], np.float32)

    def reset(self):
        self.nb_steps = 0
        self.episode += 1
        return self.observe() if self.old else (self.observe(), {})

    def step(self, action):
        self.nb_steps += 1
        done = self.nb_steps >= self.lengths[self.episode % len(self.lengths)]
        result = self.observe(), self.nb_steps + 0.25 * action
        info = {"lives": 3 - self.nb_steps, "speed": 0.5}
        return (*result, done, info) if self.old else (*result, done, False, info)


class AlternatingPolicy(rl.policy.Policy):
    def __init__(self):
        self.nb_actions = 0

    def select_action(self, q_values):
        self.nb_actions += 1
        return self.nb_actions // 2 % 2


def build_agent(**options):
    options = {"policy": AlternatingPolicy(), "test_policy": AlternatingPolicy(), "nb_steps_warmup": 10**9} | options
    model = keras.Sequential([keras.Input((1, 2)), layers.Flatten(), layers.Dense(2)])
    memory = options.pop("memory", None) or SequentialMemory(limit=100)
    agent = DQNAgent(model=model, nb_actions=2, memory=memory, **options)
    agent.compile("sgd", jit_compile=False)
    return agent


class KerasRLAgent(rl.core.Agent):
    """Nothing but rl.core's `fit` and `test`."""

    compiled = True
    metrics_names = ("loss", "mean_q")

    def __init__(self, processor=None):
        super().__init__(processor)
        self.policy = AlternatingPolicy()

    def forward(self, observation):
        return self.policy.select_action(None)

    def backward(self, reward, terminal):
        return [np.nan, np.nan]


# Callbacks


def plain(value):
    """Make values of ours and Keras-RL's comparable: np.int16(3) and 3, float32 and float.

    Only ours have the environment's own rewards, after everything else.
    """
    if isinstance(value, dict):
        names = list(value)
        assert "environment_reward" not in names[:-1]
        return [(key, plain(item)) for key, item in value.items() if key != "environment_reward"]
    if isinstance(value, list | tuple | np.ndarray) and np.ndim(value):
        return [plain(item) for item in value]
    return str(float(value))


class Events(rl.callbacks.Callback):
    """Every event, with its arguments."""

    def __init__(self):
        super().__init__()
        self.events = []

    def set_params(self, params):
        super().set_params(params)
        self.events.append(("set_params", plain(params)))


for kind in ("train", "episode", "step", "action", "epoch", "batch", "train_batch", "test", "test_batch"):
    for moment in ("begin", "end"):

        def on_event(self, *arguments, name=f"on_{kind}_{moment}", **named):
            self.events.append((name, plain(arguments), plain(named)))

        setattr(Events, f"on_{kind}_{moment}", on_event)


class DoublingProcessor(rl.core.Processor):
    def process_observation(self, observation):
        return observation * 2

    def process_reward(self, reward):
        return reward * 10

    def process_action(self, action):
        return 1 - action

    def process_info(self, info):
        return {**info, "more": 1.0}


LOOPS = {
    "plain": {},
    "action_repetition": {"action_repetition": 3},
    "nb_max_episode_steps": {"nb_max_episode_steps": 3},
    "random starts": {"nb_max_start_steps": 4},
    "starts": {"nb_max_start_steps": 4, "start_step_policy": lambda observation: int(observation[0]) % 2},
    "all": {"nb_max_start_steps": 3, "action_repetition": 2, "nb_max_episode_steps": 2},
}


def events_of(run, processor=None, old=True):
    """Return ours and Keras-RL's events of `run(agent, env, callbacks)`."""
    result = []
    for agent, env in (
        (build_agent(processor=processor), ScriptedEnv(old=old)),
        (KerasRLAgent(processor), ScriptedEnv(old=True)),
    ):
        np.random.seed(3)
        events = Events()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some episodes end within their start steps
            run(agent, env, [events])
        result.append(events.events)
    return result


@pytest.mark.parametrize("nb_steps", [20, 13])  # within an episode, and at an episode's end where nothing is special
@pytest.mark.parametrize("name", LOOPS)
def test_events_of_fit_equal_keras_rls(name, nb_steps):
    options = {"nb_steps": nb_steps, "verbose": 0} | LOOPS[name]
    ours, theirs = events_of(lambda agent, env, callbacks: agent.fit(env, callbacks=callbacks, **options))
    assert ours == theirs
    assert ours[0] == ("set_params", [("nb_steps", f"{nb_steps}.0")])
    assert sum(event[0] == "on_step_end" for event in ours) == nb_steps


@pytest.mark.parametrize("name", LOOPS)
def test_events_of_test_equal_keras_rls(name):
    options = {"nb_episodes": 6, "visualize": False, "verbose": 0} | LOOPS[name]
    ours, theirs = events_of(lambda agent, env, callbacks: agent.test(env, callbacks=callbacks, **options))
    assert ours == theirs
    assert sum(event[0] == "on_episode_end" for event in ours) == 6


@pytest.mark.parametrize("old", [True, False])
def test_events_with_a_processor_and_either_protocol_equal_keras_rls(old):
    def run(agent, env, callbacks):
        agent.fit(env, 15, action_repetition=2, nb_max_start_steps=3, callbacks=callbacks, verbose=0)
        agent.test(env, 3, callbacks=callbacks, visualize=False, verbose=0)

    ours, theirs = events_of(run, DoublingProcessor(), old)
    assert ours == theirs


def test_callbacks_know_agent_environment_and_parameters():
    agent, env, callbacks = build_agent(), ScriptedEnv(), [Events(), Events()]
    history = agent.fit(env, 9, callbacks=callbacks, verbose=2)
    assert len(callbacks) == 2  # Keras-RL appends its loggers to a copy as well
    assert all(callback.model is agent and callback.env is env for callback in callbacks)
    assert callbacks[0].params == {"nb_steps": 9}
    assert history.history == {
        "episode_reward": [10.5, 1.25],
        "nb_episode_steps": [4, 1],
        "nb_steps": [4, 5],
    }
    assert history.epoch == [0, 1]


def test_keras_callbacks_take_episodes_for_epochs():
    class KerasCallback(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.calls = []

        def on_epoch_begin(self, epoch, logs=None):
            self.calls.append(("epoch begins", epoch))

        def on_epoch_end(self, epoch, logs=None):
            self.calls.append(("epoch ends", epoch, logs["nb_episode_steps"]))

        def on_batch_begin(self, batch, logs=None):
            self.calls.append(("batch begins", batch))

        def on_batch_end(self, batch, logs=None):
            self.calls.append(("batch ends", batch, logs["reward"]))

    callback, rewards = KerasCallback(), []
    lambdas = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: rewards.append(logs["episode_reward"]))
    build_agent().fit(ScriptedEnv([1, 2]), 3, callbacks=[callback, lambdas], verbose=0)
    assert callback.calls == [
        *[("epoch begins", 0), ("batch begins", 0), ("batch ends", 0, 1.0), ("epoch ends", 0, 1)],
        *[("epoch begins", 1), ("batch begins", 0), ("batch ends", 0, 1.25)],
        *[("batch begins", 1), ("batch ends", 1, 2.0), ("epoch ends", 1, 2)],
    ]
    assert rewards == [1.0, 3.25]


def test_information_that_cannot_be_summed_is_left_out():
    class Talking(ScriptedEnv):
        def step(self, action):
            texts = {"text": "hello", "array": np.ones(2), "none": None, "list": [1], "empty": ""}
            info = {**texts, "flag": True, "numpy": np.float32(2)}
            return *super().step(action)[:-1], info

    class Infos(rl.callbacks.Callback):
        def on_step_end(self, step, logs):
            infos.append(logs["info"])

    infos = []
    build_agent().fit(Talking(), 3, action_repetition=2, callbacks=[Infos()], verbose=0)
    assert infos[0] == {"flag": 2, "numpy": 4.0}


# Keras-RL's own callbacks, as they are


def learning_agent():
    agent = build_agent(nb_steps_warmup=5, batch_size=4, policy=rl.policy.EpsGreedyQPolicy(eps=0.5))
    agent.compile("sgd", metrics=["mae"], jit_compile=False)
    return agent


def test_file_logger(tmp_path):
    path = tmp_path / "log.json"
    learning_agent().fit(ScriptedEnv(), 30, callbacks=[rl.callbacks.FileLogger(path, interval=2)], verbose=0)
    log = json.loads(path.read_text())
    metrics, logs = ["loss", "mae", "mean_q"], ["episode_reward", "nb_episode_steps", "nb_steps"]
    assert list(log) == [*metrics, *logs, "episode", "duration"]
    assert log["nb_episode_steps"] == [4, 1, 6, 2, 4, 1, 6, 2, 4]
    assert log["nb_steps"] == [4, 5, 11, 13, 17, 18, 24, 26, 30]
    assert log["episode"] == list(range(9))
    assert np.isnan(log["loss"][:2]).all() and np.isfinite(log["loss"][2:]).all()


def test_model_interval_checkpoint(tmp_path):
    agent = learning_agent()
    name = str(tmp_path / "w_{step}_{episode}_{reward}.h5f")
    agent.fit(ScriptedEnv([100]), 20, callbacks=[rl.callbacks.ModelIntervalCheckpoint(name, interval=10)], verbose=0)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert [name.split("_")[1:3] for name in names] == [["10", "0"], ["20", "0"]]
    final = agent.model.get_weights()
    agent.load_weights(tmp_path / names[0])
    assert not np.array_equal(agent.model.get_weights()[0], final[0])
    agent.load_weights(tmp_path / names[1])
    np.testing.assert_array_equal(agent.model.get_weights()[0], final[0])


@pytest.mark.long
def test_train_episode_logger(capsys):
    learning_agent().fit(ScriptedEnv(), 12, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Training for 12 steps ..."
    assert [line.split(", duration")[0].strip() for line in lines[1:4]] == [
        "4/12: episode: 1",
        "5/12: episode: 2",
        "11/12: episode: 3",
    ]
    assert "loss: --, mae: --, mean_q: --" in lines[1]
    assert "episode steps:   6" in lines[3] and "mean_q: " in lines[3] and "--" not in lines[3]
    assert lines[-1].startswith("done, took")


@pytest.mark.long
def test_train_interval_logger(capsys):
    logger = rl.callbacks.TrainIntervalLogger(interval=10)
    learning_agent().fit(ScriptedEnv(), 30, callbacks=[logger], verbose=0)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Interval")] == [
        "Interval 1 (0 steps performed)",
        "Interval 2 (10 steps performed)",
        "Interval 3 (20 steps performed)",
    ]
    summary = next(line for line in lines if line.startswith("2 episodes"))
    assert "- loss: " in summary and "- mean_q: " in summary and "- lives: " in summary


def test_test_logger(capsys):
    agent = build_agent()
    agent.test(ScriptedEnv(), nb_episodes=2, visualize=False)
    assert capsys.readouterr().out.splitlines() == [
        "Testing for 2 episodes ...",
        "Episode 1: reward: 10.500, steps: 4",
        "Episode 2: reward: 1.250, steps: 1",
    ]


def test_silence(capfd):
    agent = learning_agent()
    agent.fit(ScriptedEnv(), 12, verbose=0)
    agent.test(ScriptedEnv(), 2, visualize=False, verbose=0)
    assert capfd.readouterr() == ("", "")


# Ways out


class Failing(Events):
    """Raises in the named event, the second time it happens."""

    def __init__(self, event, error):
        super().__init__()
        seen = []

        def fail(*arguments, **named):
            seen.append(1)
            if len(seen) == 2:
                raise error

        setattr(self, event, fail)


class FailingEnv(ScriptedEnv):
    def __init__(self, method, error):
        super().__init__()
        seen, works = [], getattr(self, method)

        def fail(*arguments):
            seen.append(1)
            if len(seen) == 2:
                raise error
            return works(*arguments)

        setattr(self, method, fail)


def run_into(error, place):
    """Return what goes wrong in `fit`: environment and callbacks."""
    if place.startswith("on_"):
        return ScriptedEnv(), [Failing(place, error)]
    return FailingEnv(place, error), []


PLACES = ["reset", "step", "on_episode_begin", "on_episode_end", "on_step_begin", "on_step_end", "on_action_begin"]


@pytest.mark.parametrize("place", PLACES)
def test_training_ends_properly_when_something_fails(place):
    env, callbacks = run_into(ZeroDivisionError("broken"), place)
    agent, events = build_agent(), Events()
    with pytest.raises(ZeroDivisionError, match="broken"):
        agent.fit(env, 30, callbacks=[events, *callbacks], verbose=0)
    ends = [event for event in events.events if event[0] == "on_train_end"]
    assert ends == [("on_train_end", [[("did_abort", "1.0")]], [])]
    assert not agent.did_abort


@pytest.mark.parametrize("place", PLACES)
def test_ctrl_c_ends_the_training(place):
    env, callbacks = run_into(KeyboardInterrupt(), place)
    agent, events = build_agent(memory=SequentialMemory(limit=100, window_length=1)), Events()
    history = agent.fit(env, 30, callbacks=[events, *callbacks], verbose=0)
    assert events.events[-1] == ("on_train_end", [[("did_abort", "1.0")]], [])
    assert agent.did_abort
    assert isinstance(history, keras.callbacks.History)
    agent.fit(ScriptedEnv(), 30, verbose=0)
    assert not agent.did_abort
    for experience in agent.memory.sample(200):  # no transition leads from the one run into the other
        assert experience.state1[0][1] == experience.state0[0][1] + 1


def test_every_callback_hears_of_the_end():
    class FailingEnd(rl.callbacks.Callback):
        def on_train_end(self, logs):
            raise ZeroDivisionError("end")

    events = Events()
    with pytest.raises(ZeroDivisionError, match="end"):
        build_agent().fit(ScriptedEnv(), 5, callbacks=[FailingEnd(), events], verbose=0)
    assert events.events[-1][0] == "on_train_end"


@pytest.mark.parametrize(("place", "times", "nb_steps"), [("on_step_end", 5, 5), ("on_episode_end", 2, 6)])
def test_a_callback_may_stop_the_training(place, times, nb_steps):
    def stop(*arguments, **named):
        calls.append(place)
        agent.stop_training = len(calls) == times

    agent, events, calls = build_agent(), Events(), []
    setattr(events, place, stop)
    agent.fit(ScriptedEnv([3]), 100, callbacks=[events], verbose=0)
    assert agent.step == nb_steps and len(calls) == times
    assert events.events[-1] == ("on_train_end", [[("did_abort", "0.0")]], [])
    agent.fit(ScriptedEnv([3]), 11, verbose=0)
    assert agent.step == 11


def test_testing_ends_properly_when_something_fails():
    agent, events = build_agent(), Events()
    with pytest.raises(ZeroDivisionError):
        agent.test(FailingEnv("step", ZeroDivisionError()), 3, callbacks=[events], visualize=False, verbose=0)
    assert events.events[-1][0] == "on_train_end"
    agent.fit(ScriptedEnv(), 5, verbose=0)


# Counters and limits


class CheapEnv:
    """One episode without end."""

    observation = np.zeros(2, np.float32)
    nb_steps = 0

    def reset(self):
        return self.observation, {}

    def step(self, action):
        self.nb_steps += 1
        assert self.nb_steps <= 33000, "the training does not end"
        return self.observation, 1.0, False, False, {}


@pytest.mark.long
def test_counters_do_not_overflow():
    policy = rl.policy.LinearAnnealedPolicy(
        rl.policy.EpsGreedyQPolicy(), attr="eps", value_max=1.0, value_min=0.1, value_test=0.05, nb_steps=33000
    )
    agent = build_agent(policy=policy)

    class Last(rl.callbacks.Callback):
        def on_step_end(self, step, logs):
            self.step = step

    last = Last()
    agent.fit(CheapEnv(), nb_steps=33000, callbacks=[last], verbose=0, nb_max_episode_steps=10**6)
    assert agent.step == 33000 and last.step == 32999
    assert policy.inner_policy.eps == pytest.approx(0.1, abs=1e-4)
    assert agent.memory.nb_entries == 100


def test_episodes_that_end_within_their_start_steps_warn():
    with pytest.warns(UserWarning, match="nb_max_start_steps"):
        build_agent().fit(ScriptedEnv([1]), 20, nb_max_start_steps=5, verbose=0)


def test_start_steps_are_not_learned_from():
    agent, seen = build_agent(), []

    def start(observation):
        seen.append(observation[0])
        return 1

    np.random.seed(1)
    agent.fit(ScriptedEnv([8]), 20, nb_max_start_steps=6, start_step_policy=start, verbose=0)
    assert len(seen) > 3
    stored = [observation[0] for observation in agent.memory.observations]
    assert not set(seen) & set(stored) and len(stored) > 20


def test_the_first_actions_of_a_training_may_be_random_and_are_remembered_so():
    class Zero(rl.policy.Policy):
        def select_action(self, q_values):
            return 0

    agent, env, taken = build_agent(policy=Zero(), test_policy=Zero()), ScriptedEnv([3]), []
    step = env.step
    env.step = lambda action: (taken.append(action), step(action))[1]
    agent.nb_random_steps = 5
    agent.fit(env, 9, verbose=0)
    assert taken == [1, 0, 1, 0, 1, 0, 0, 0, 0]
    actions = [agent.memory.actions[i] for i in range(agent.memory.nb_entries)]
    assert [actions[i] for i in (0, 1, 2, 4, 5, 6, 8, 9, 10)] == taken  # after each episode, its last observation
    taken.clear()
    agent.test(env, 2, visualize=False, verbose=0)
    assert taken == [0] * 6


def test_rewards_that_are_learned_from_may_be_scaled_and_are_reported_as_they_are():
    agent = build_agent()
    agent.reward_scale = 0.5
    history = agent.fit(ScriptedEnv([2, 3]), 5, verbose=0).history["episode_reward"]
    rewards = [agent.memory.rewards[i] for i in (0, 1, 3, 4, 5)]
    assert history == [2 * sum(rewards[:2]), 2 * sum(rewards[2:])] != [0, 0]


def test_actions_within_bounds_are_remembered_as_they_were_chosen():
    class Choosing(rl.policy.Policy):
        def select_action(self, q_values):
            return 7

    agent, env, taken = build_agent(policy=Choosing(), test_policy=Choosing()), ScriptedEnv([3]), []
    step = env.step
    env.step = lambda action: (taken.append(action), step(float(action.sum())))[1]
    agent.bounds = np.array([[-1.0], [-2.0]], np.float32), np.array([[1.0], [8.0]], np.float32)
    with pytest.raises(ValueError, match="reshape"):  # one number is no action of two
        agent.fit(env, 3, verbose=0)
    agent.bounds = np.array([[-1.0]], np.float32), np.array([[1.0]], np.float32)
    agent.fit(env, 3, verbose=0)
    assert [(action.tolist(), action.dtype) for action in taken] == [([[1.0]], np.float32)] * 3
    assert agent.memory.actions[0] == 7
    assert agent.act(np.zeros(2, np.float32)).tolist() == [[1.0]]


@pytest.mark.long
def test_environment_is_seeded_for_each_episode():
    class Seeded(ScriptedEnv):
        def reset(self, *, seed=None, options=None):
            seeds.append(seed)
            return super().reset()

    runs = []
    for seed in (5, 5, 6, None):
        seeds = []
        build_agent().fit(Seeded(), 14, verbose=0, seed=seed)
        runs.append(seeds)
    assert runs[0] == runs[1]
    assert len(set(runs[0] + runs[2])) == len(runs[0] + runs[2]) == 10
    assert runs[3] == [None] * 5


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("fit", {"nb_steps": 0}),
        ("fit", {"nb_steps": -5}),
        ("fit", {"nb_steps": 5, "action_repetition": 0}),
        ("test", {"nb_episodes": 0, "visualize": False}),
        ("test", {"nb_episodes": 1, "action_repetition": 0, "visualize": False}),
    ],
)
def test_impossible_numbers_are_refused(method, options):
    events = Events()
    with pytest.raises(UserError, match="at least 1"):
        getattr(build_agent(), method)(ScriptedEnv(), callbacks=[events], **options)
    assert events.events == []


def test_the_first_update_is_in_the_step_after_the_warm_up_as_in_keras_rl():
    class Losses(rl.callbacks.Callback):
        def on_step_end(self, step, logs):
            if not np.isnan(logs["metrics"][0]):
                trained.append(self.model.step)

    trained = []
    build_agent(nb_steps_warmup=20, batch_size=4).fit(ScriptedEnv(), 25, callbacks=[Losses()], verbose=0)
    assert trained == [21, 22, 23, 24]  # `step > nb_steps_warmup`, counted from 0

"""What people override in Keras-RL's classes is called when and as Keras-RL calls it, beside Keras-RL's own code."""

import functools
import inspect
import re
import types
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import rl.agents
import rl.agents.dqn
import rl.callbacks
import rl.core
import rl.memory
import rl.policy
import rl.processors
from keras import layers
from rl.random import GaussianWhiteNoiseProcess

from kerasrl import CEMAgent, DDPGAgent, DQNAgent, EpisodeParameterMemory, NAFAgent, SARSAAgent, SequentialMemory
from kerasrl.errors import Note

# The public methods, hooks and properties of Keras-RL's classes, found by looking at them.


def members(*classes):
    """The names that classes define for others: public ones, and hooks such as _on_train_begin and _set_env."""
    return sorted(
        {
            name
            for kind in classes
            for name, value in vars(kind).items()
            if isinstance(value, types.FunctionType | property)
            and (name[0] != "_" or name.startswith(("_on_", "_set_")))
        }
    )


OF_KERAS = ["on_train_begin", "on_train_end", "set_model", "set_params"]
PARTS = {
    "agent": members(rl.core.Agent, rl.agents.dqn.AbstractDQNAgent, rl.agents.dqn.DQNAgent),
    "memory": members(rl.memory.Memory, rl.memory.SequentialMemory),
    "policy": members(rl.policy.Policy),
    "processor": members(rl.core.Processor, rl.processors.MultiInputProcessor),
    "callback": [*members(rl.callbacks.Callback), *OF_KERAS],
}
# What Keras-RL itself does not call in `fit` and `test`: people do, and so do people's own methods.
BY_PEOPLE = {
    *("agent.fit", "agent.test", "agent.compile", "agent.load_weights", "agent.save_weights"),
    *("agent.get_config", "agent.layers", "memory.get_config", "policy.get_config"),
    "processor.handle_dict",  # which MultiInputProcessor.process_state_batch calls
}


class Env:
    """Episodes of 4, 1, 6 and 2 steps."""

    episode = -1

    def reset(self):
        self.episode += 1
        self.step_number = 0
        return np.zeros(2, np.float32)

    def step(self, action):
        self.step_number += 1
        done = self.step_number == (4, 1, 6, 2)[self.episode % 4]
        return np.full(2, self.step_number / 4, np.float32), float(action), done, {"lives": 3}


class Alternating(rl.policy.Policy):
    nb_actions = 0

    def select_action(self, q_values):
        self.nb_actions += 1
        return self.nb_actions // 2 % 2


class Processor(rl.core.Processor):
    def process_state_batch(self, batch):
        return np.asarray(batch, np.float32)


def build_model(window_length=2):
    return keras.Sequential([keras.Input((window_length, 2)), layers.Flatten(), layers.Dense(2)])


OPTIONS = {"nb_steps_warmup": 5, "batch_size": 3, "target_model_update": 3}


def build_ours(
    agent=DQNAgent, memory=SequentialMemory, policy=Alternating, processor=Processor, window_length=2, **options
):
    parts = {"policy": policy(), "test_policy": policy(), "processor": processor and processor()}
    options = {**parts, **OPTIONS, **options}
    memory = memory(limit=50, window_length=window_length)
    made = agent(build_model(window_length), nb_actions=2, memory=memory, **options)
    made.compile("sgd")
    return made


class Network:
    """What Keras-RL's agent asks of its three Keras models, which Keras 3 does not have."""

    input, layers, output_names, metrics_names = None, (), ("loss", "q"), ("loss", "loss_loss", "q_loss", "q_mean_q")
    output = types.SimpleNamespace(shape=(None, 2))

    def predict_on_batch(self, batch):
        return np.zeros((len(batch), 2), np.float32)

    def train_on_batch(self, inputs, targets):
        return [0.0, 0.0, 0.0, 0.0]

    def get_weights(self):
        return []

    def set_weights(self, weights):
        pass

    def reset_states(self):
        pass


def build_theirs(
    agent=rl.agents.dqn.DQNAgent,
    memory=rl.memory.SequentialMemory,
    policy=Alternating,
    processor=Processor,
):
    parts = {"policy": policy(), "test_policy": policy(), "processor": processor and processor()}
    made = agent(Network(), nb_actions=2, memory=memory(limit=50, window_length=2), **parts, **OPTIONS)
    made.compiled, made.target_model, made.trainable_model = True, Network(), Network()
    return made


# What was called, in order, with what of the arguments is the same in both


def plain(value):
    if isinstance(value, list) and len({np.shape(item) for item in value}) > 1:
        return [np.shape(item) for item in value]
    if isinstance(value, np.ndarray | list | tuple):
        return np.shape(value)
    if isinstance(value, bool | np.bool_):
        return bool(value)
    return float(value) if isinstance(value, int | float | np.number) else ""


def tracing(calls, part, name, function):
    @functools.wraps(function)
    def traced(*args, **named):
        given = args[1:] if args and hasattr(type(args[0]), name) else args
        calls.append((f"{part}.{name}", *map(plain, given), *[(key, plain(named[key])) for key in sorted(named)]))
        return function(*args, **named)

    return traced


def traced_class(calls, part, base, names):
    """A subclass that overrides these methods and properties."""
    body = {}
    for name in names:
        found = inspect.getattr_static(base, name, None)
        if isinstance(found, property):
            body[name] = property(tracing(calls, part, name, found.fget), found.fset)
        elif found is not None:
            body[name] = tracing(calls, part, name, found)
    return type(f"Own{base.__name__}", (base,), body)


def run(agent, callback):
    """Train for four episodes and play one."""
    if hasattr(agent, "policy"):
        agent.policy.nb_actions = agent.test_policy.nb_actions = 0
    keras.utils.set_random_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Note)
        agent.fit(Env(), 13, verbose=0, callbacks=[callback])
        agent.test(Env(), 1, verbose=0, visualize=False, callbacks=[callback])


def calls_of(build, bases, parts, table=PARTS):
    """What is called in `run` if some parts are of classes of somebody's own."""
    calls = []
    kinds = {
        part: traced_class(calls, part, base, table[part]) if part in parts else base for part, base in bases.items()
    }
    callback = kinds.pop("callback")()
    run(build(**kinds), callback)
    return [call for call in calls if call[0] not in BY_PEOPLE]


COMMON = {"policy": Alternating, "processor": Processor, "callback": rl.callbacks.Callback}
THEIRS = {**COMMON, "agent": rl.agents.dqn.DQNAgent, "memory": rl.memory.SequentialMemory}
OURS = {**COMMON, "agent": DQNAgent, "memory": SequentialMemory}


@pytest.fixture(scope="module")
def reference():
    return calls_of(build_theirs, THEIRS, PARTS)


# Properties are read as often as it takes: their number says nothing.
READ = {
    *("agent.metrics_names", "agent.policy", "agent.test_policy", "memory.nb_entries"),
    *(f"{part}.{name}" for part in ("policy", "processor") for name in ("metrics", "metrics_names")),
}


def test_every_method_of_keras_rl_is_called_by_it_or_by_people(reference):
    """A method that nobody has thought of fails here."""
    every = {f"{part}.{name}" for part, names in PARTS.items() for name in names}
    called = {call[0] for call in reference}
    assert every - called == BY_PEOPLE
    assert called - every == set() and called > READ and len(called) > 40


def test_the_table_has_all_of_them():
    text = (Path(__file__).parents[2] / "docs/own-script.md").read_text()
    table = text.partition("| class | method |")[2].partition("\n\n")[0]
    parts = re.split(r"\n\| (?=\w)", table)[1:]
    assert [part.partition(" ")[0] for part in parts] == list(PARTS)
    for part in parts:
        kind = part.partition(" ")[0]
        told = [name for row in part.split("\n") for name in re.findall(r"`(\w+)`", row.split("|")[-3])]
        assert sorted(told) == sorted(PARTS[kind])


@pytest.mark.parametrize("part", PARTS)
def test_a_class_that_overrides_everything_is_asked_in_the_same_order(part, reference):
    calls = calls_of(build_ours, OURS, [part])
    expected = [call for call in reference if call[0].startswith(f"{part}.")]
    assert {call[0] for call in calls} == {call[0] for call in expected}
    assert [call for call in calls if call[0] not in READ] == [call for call in expected if call[0] not in READ]


@pytest.mark.long
def test_everything_at_once_is_asked_in_the_same_order(reference):
    calls = calls_of(build_ours, OURS, PARTS)
    assert [call for call in calls if call[0] not in READ] == [call for call in reference if call[0] not in READ]


@pytest.mark.long
@pytest.mark.parametrize("names", [["get_recent_state"], ["append"], ["sample"]])
def test_a_memory_of_single_observations_is_asked_in_the_same_order(names):
    def calls(build, memory):
        own = functools.partial(traced_class(found := [], "memory", memory, names), window_length=1)
        agent = build(memory=lambda limit, window_length: own(limit))
        run(agent, rl.callbacks.Callback())
        return found

    ours = functools.partial(build_ours, window_length=1)
    assert calls(ours, SequentialMemory) == calls(build_theirs, rl.memory.SequentialMemory) != []


@pytest.fixture(scope="module")
def agent():
    """One agent for all that is given to objects: what is overridden is found out at each `fit` and `test`."""
    return build_ours()


METHODS = [
    (part, name)
    for part, names in PARTS.items()
    for name in names
    if f"{part}.{name}" not in BY_PEOPLE | READ | {"policy._set_agent"} and part != "callback"
]


@pytest.mark.long
@pytest.mark.parametrize(("part", "name"), METHODS)
def test_a_method_given_to_an_object_is_called_from_the_next_fit_on(part, name, agent, reference):
    owner = agent if part == "agent" else getattr(agent, part)
    run(agent, rl.callbacks.Callback())
    calls = []
    setattr(owner, name, tracing(calls, part, name, getattr(owner, name)))
    run(agent, rl.callbacks.Callback())
    delattr(owner, name)
    expected = [call for call in reference if call[0] == f"{part}.{name}"][name == "reset_states" :]  # once when made
    if part == "policy":  # of the two, this one only trains
        expected = expected[: len(calls)]
        assert len(calls) == 17
    assert calls == expected
    run(agent, rl.callbacks.Callback())
    assert calls == expected


# The other agents


def build_sarsa(agent, policy=Alternating, processor=Processor):
    is_ours = issubclass(agent, SARSAAgent)
    options = {"policy": policy(), "test_policy": policy(), "processor": processor(), "nb_steps_warmup": 5}
    made = agent(build_model(1) if is_ours else Network(), 2, **options)
    if is_ours:
        made.compile("sgd")
    made.compiled, made.trainable_model = True, Network()
    return made


class Weighing(Network):
    """The model's weights, as Keras-RL's CEMAgent sees them."""

    def get_weights(self):
        return [np.zeros((4, 2)), np.zeros(2)]


def build_cem(agent, memory, processor=Processor):
    is_ours = issubclass(agent, CEMAgent)
    options = {"batch_size": 3, "elite_frac": 0.5, "nb_steps_warmup": 5, "train_interval": 2}
    memory, model, theta = memory(limit=5, window_length=2), build_model(2), np.zeros(20)  # all actions are as good
    model.set_weights(Weighing().get_weights())
    made = agent(model if is_ours else Weighing(), 2, memory, theta_init=theta, processor=processor(), **options)
    made.compile() if is_ours else setattr(made, "compiled", True)
    return made


class Values(Network):
    """A model of one output, or Keras-RL's `combined_model` of two inputs."""

    input = (None, None)

    def __init__(self):
        self.metrics_names = ["loss", "mean_q"]

    def predict_on_batch(self, batch):
        return np.zeros((len(batch), 1), np.float32)

    def train_on_batch(self, inputs, targets):
        return [0.0, 0.0]


class Continuous(Processor):
    def process_action(self, action):
        return float(action[0])


def build_naf(agent, memory, process=GaussianWhiteNoiseProcess, processor=Continuous):
    is_ours = issubclass(agent, NAFAgent)
    state, action, memory = keras.Input((2, 2)), keras.Input((1,)), memory(limit=50, window_length=2)
    lower = layers.Dense(1)(layers.Concatenate()([action, layers.Flatten()(state)]))
    of_state = [
        keras.Sequential([keras.Input((2, 2)), layers.Flatten(), layers.Dense(1, None, False, "zeros")]) for _ in "Vm"
    ]
    models = (
        [of_state[0], keras.Model([action, state], lower), of_state[1]] if is_ours else [Values() for _ in range(3)]
    )
    made = agent(*models, process(), nb_actions=1, memory=memory, processor=processor(), **OPTIONS)
    if is_ours:
        made.compile(keras.optimizers.SGD(0.0))
    else:
        made.compiled, made.combined_model, made.target_V_model = True, Values(), Values()
    return made


class Critic(Values):
    input, inputs = ("action", None), (None, None)

    def predict_on_batch(self, batch):
        return super().predict_on_batch(batch[0])


class Actor(Values):
    inputs = (None,)


def build_ddpg(agent, memory, process=GaussianWhiteNoiseProcess, processor=Continuous):
    is_ours = issubclass(agent, DDPGAgent)
    state, action, memory = keras.Input((2, 2)), keras.Input((1,)), memory(limit=50, window_length=2)
    value = layers.Dense(1)(layers.Concatenate()([action, layers.Flatten()(state)]))
    actor = keras.Sequential([keras.Input((2, 2)), layers.Flatten(), layers.Dense(1, None, False, "zeros")])
    models = (actor, keras.Model([action, state], value), action) if is_ours else (Actor(), Critic(), "action")
    options = {"batch_size": 3, "target_model_update": 3, "nb_steps_warmup_critic": 5, "nb_steps_warmup_actor": 5}
    made = agent(1, *models, memory, random_process=process(), processor=processor(), **options)
    if is_ours:
        made.compile(keras.optimizers.SGD(0.0))
    else:
        made.compiled, made.target_actor, made.target_critic = True, Actor(), Critic()
        made.actor_train_fn = lambda inputs: [np.zeros((3, 1))]
    return made


SHARED = {part: kind for part, kind in COMMON.items() if part != "policy"}
NOISY = {**SHARED, "processor": Continuous, "process": GaussianWhiteNoiseProcess}
OTHERS = {
    "SARSAAgent": (build_sarsa, {**COMMON, "agent": rl.agents.SARSAAgent}, {**COMMON, "agent": SARSAAgent}),
    "CEMAgent": (
        build_cem,
        {**SHARED, "agent": rl.agents.CEMAgent, "memory": rl.memory.EpisodeParameterMemory},
        {**SHARED, "agent": CEMAgent, "memory": EpisodeParameterMemory},
    ),
    "DDPGAgent": (
        build_ddpg,
        {**NOISY, "agent": rl.agents.DDPGAgent, "memory": rl.memory.SequentialMemory},
        {**NOISY, "agent": DDPGAgent, "memory": SequentialMemory},
    ),
    "NAFAgent": (
        build_naf,
        {**NOISY, "agent": rl.agents.NAFAgent, "memory": rl.memory.SequentialMemory},
        {**NOISY, "agent": NAFAgent, "memory": SequentialMemory},
    ),
}


def methods_of(name):
    """The public methods, hooks and properties of the parts that an agent has."""
    _, bases, _ = OTHERS[name]
    found = {part: PARTS.get(part) for part in bases}
    for part in found.keys() & {"agent", "memory", "process"}:
        found[part] = members(*[kind for kind in bases[part].__mro__ if kind.__module__.startswith("rl.")])
    return found


# Keras-RL's SARSA shows the next state to the processor three times, one after the other, and in other shapes.
REPEATED = ("process_state_batch", "compute_q_values", "compute_batch_q_values")


def in_order(name, calls):
    """Calls in order; SARSA's of `REPEATED` without arguments and, in each row of them, each once."""
    found, row = [], set()
    for call in calls:
        if call[0] in READ:
            continue
        if name != "SARSAAgent" or not call[0].endswith(REPEATED):
            row.clear()
        elif call[0] in row:
            continue
        else:
            row.add(call[0])
            call = call[:1]
        found.append(call)
    return found


@functools.cache
def reference_of(name):
    build, theirs, _ = OTHERS[name]
    return calls_of(build, theirs, methods_of(name), methods_of(name))


@pytest.mark.parametrize("name", OTHERS)
def test_every_method_of_the_others_is_called_by_keras_rl_or_by_people(name):
    every = {f"{part}.{method}" for part, names in methods_of(name).items() for method in names}
    called = {call[0] for call in reference_of(name)}
    of_dqn = {"agent.compute_q_values", "agent.compute_batch_q_values"} if name == "NAFAgent" else set()
    assert every - called == (BY_PEOPLE | of_dqn) & every and called <= every and len(called) > 30


@pytest.mark.long
@pytest.mark.parametrize(("name", "part"), [(name, part) for name in OTHERS for part in [*OTHERS[name][1], "all"]])
def test_what_people_override_in_the_others_is_asked_in_the_same_order(name, part):
    build, _, ours = OTHERS[name]
    calls = calls_of(build, ours, methods_of(name) if part == "all" else [part], methods_of(name))
    expected = [call for call in reference_of(name) if part == "all" or call[0].startswith(f"{part}.")]
    assert {call[0] for call in calls} == {call[0] for call in expected}
    assert in_order(name, calls) == in_order(name, expected)


def test_the_table_of_the_others_has_what_they_have_more():
    text = (Path(__file__).parents[2] / "docs/own-script.md").read_text()
    table = text.partition("| of the others | method |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"\n\| (\w+) (.*?)(?=\n\| \w|$)", table, re.DOTALL))
    for name in OTHERS:
        told = {method for row in rows[name].split("\n") for method in re.findall(r"`(\w+)`", row.split("|")[-3])}
        more = {method for part, names in methods_of(name).items() for method in set(names) - set(PARTS.get(part, ()))}
        assert more <= told <= {method for names in methods_of(name).values() for method in names}

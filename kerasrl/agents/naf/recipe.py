"""The networks of NAF and the agent, for the commands: `python train.py --agent naf`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kerasrl.agents import recipes  # first: Keras-RL cannot be imported without it

# isort: split

from keras import Input, Model
from keras.layers import Concatenate, Dense

from kerasrl.agents.naf import NAFAgent
from kerasrl.config import NAFConfig

if TYPE_CHECKING:
    from kerasrl import Run


def build(run: "Run") -> NAFAgent:
    """Return the agent that is trained, played with and exported."""
    config = run.settings(NAFConfig)
    networks = run.own_network()  # your own, if you brought some
    value, factor, actions = networks or build_networks(
        run.state_size, run.num_actions, run.spaces.require_bounds(), config
    )
    agent = NAFAgent(
        V_model=value,
        L_model=factor,
        mu_model=actions,
        nb_actions=run.num_actions,
        covariance_mode=config.covariance_mode,
        memory=recipes.build_memory(config),
        random_process=recipes.build_noise(config, run.num_actions, run.spaces.require_bounds()),
        processor=run.processor,
        gamma=config.gamma,
        batch_size=config.batch_size,
        nb_steps_warmup=config.nb_steps_warmup,
        train_interval=config.train_interval,
        gradient_steps=config.gradient_steps,
        n_step=config.n_step,
        target_model_update=config.target_model_update,
        delta_clip=config.delta_clip,
        metadata=asdict(config),  # is saved with the weights
    )
    agent.bounds = run.spaces.bounds
    agent.reward_scale, agent.nb_random_steps = config.reward_scale, config.nb_random_steps
    optimizer = recipes.build_optimizer(config, config.learning_rate, config.nb_steps_warmup)
    agent.compile(optimizer, metrics=["mae"], jit_compile="auto" if config.jit_compile else False)
    return agent


def build_networks(state_size: Any, num_actions: int, bounds: Any, config: NAFConfig) -> tuple[Model, Model, Model]:
    """Return V, from states to their values, L, from actions and states to numbers of a matrix, and mu, to actions."""

    def state() -> tuple[list[Any], Any]:
        return recipes.state_inputs(state_size, config.window_length)

    inputs, x = state()
    value = Model(inputs, Dense(1)(recipes.hidden(x, config.hidden_layers, config)))

    inputs, x = state()
    actions = Model(inputs, recipes.action_output(recipes.hidden(x, config.hidden_layers, config), num_actions, bounds))

    numbers = num_actions * (num_actions + 1) // 2 if config.covariance_mode == "full" else num_actions
    action_input = Input((num_actions,), name="action_input")
    inputs, x = state()
    x = recipes.hidden(Concatenate()([action_input, x]), config.hidden_layers, config)
    return value, Model([action_input, *inputs], Dense(numbers)(x)), actions

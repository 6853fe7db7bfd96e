"""The networks of DDPG and the agent, for the commands: `python train.py --agent ddpg`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kerasrl.agents import recipes  # first: Keras-RL cannot be imported without it

# isort: split

from keras import Input, Model
from keras.layers import Concatenate, Dense

from kerasrl.agents.ddpg import DDPGAgent
from kerasrl.config import DDPGConfig

if TYPE_CHECKING:
    from kerasrl import Run


def build(run: "Run") -> DDPGAgent:
    """Return the agent that is trained, played with and exported."""
    config = run.settings(DDPGConfig)
    networks = run.own_network()  # your own, if you brought some
    actor, critic, action_input = networks or build_networks(
        run.state_size, run.num_actions, run.spaces.require_bounds(), config
    )
    agent = DDPGAgent(
        nb_actions=run.num_actions,
        actor=actor,
        critic=critic,
        critic_action_input=action_input,
        memory=recipes.build_memory(config),
        random_process=recipes.build_noise(config, run.num_actions, run.spaces.require_bounds()),
        processor=run.processor,
        gamma=config.gamma,
        batch_size=config.batch_size,
        nb_steps_warmup_actor=config.nb_steps_warmup_actor,
        nb_steps_warmup_critic=config.nb_steps_warmup_critic,
        train_interval=config.train_interval,
        gradient_steps=config.gradient_steps,
        n_step=config.n_step,
        target_model_update=config.target_model_update,
        delta_clip=config.delta_clip,
        metadata=asdict(config),  # is saved with the weights
    )
    agent.bounds = run.spaces.bounds
    agent.reward_scale, agent.nb_random_steps = config.reward_scale, config.nb_random_steps
    of_actor = recipes.build_optimizer(config, config.actor_learning_rate, config.nb_steps_warmup_actor)
    of_critic = recipes.build_optimizer(config, config.critic_learning_rate, config.nb_steps_warmup_critic)
    agent.compile([of_actor, of_critic], metrics=["mae"], jit_compile="auto" if config.jit_compile else False)
    return agent


def build_networks(state_size: Any, num_actions: int, bounds: Any, config: DDPGConfig) -> tuple[Model, Model, Any]:
    """Return the actor, from states to actions within their bounds, the critic, and its input for actions."""
    inputs, x = recipes.state_inputs(state_size, config.window_length)
    x = recipes.hidden(x, config.hidden_layers, config)
    actor = Model(inputs, recipes.action_output(x, num_actions, bounds, config.action_l2))

    action_input = Input((num_actions,), name="action_input")
    inputs, x = recipes.state_inputs(state_size, config.window_length)
    x = recipes.hidden(Concatenate()([action_input, x]), config.critic_hidden_layers, config)
    critic = Model([action_input, *inputs], Dense(1)(x))
    return actor, critic, action_input

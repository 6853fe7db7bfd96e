from gym.envs.registration import register

register(
    id='gridworld-v0',
    entry_point='gym_gridworld.envs:GridworldEnv',
    timestep_limit=40,
    reward_threshold=1.0,
    nondeterministic=True,
)
register(
    id='gridworld-large-v0',
    entry_point='gym_gridworld.envs:GridworldEnv',
    tags={'wrapper_config.TimeLimit.max_episode_steps': 80},
    kwargs={'size': 9},
)

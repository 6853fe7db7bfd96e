from gym_gridworld.envs.gridworld_env import GridworldEnv

import argparse
from typing import Optional

import gym
import numpy as np
import tensorflow as tf
from gym import spaces
from tensorflow.keras import Sequential
from tensorflow.keras.layers import Dense, Flatten, InputLayer
from tensorflow.keras.optimizers.legacy import Adam
from tensorflow.python.framework.ops import disable_eager_execution
from rl.agents import DQNAgent
from rl.memory import SequentialMemory
from rl.policy import EpsGreedyQPolicy

disable_eager_execution()


class Corridor(gym.Env):
    metadata = {"render_modes": ["human", "ansi"], "render_fps": 4}

    def __init__(self, length: int = 8, render_mode: Optional[str] = None):
        super().__init__()
        self.length = length
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Box(0.0, 1.0, (2,), dtype=np.float32)

    def _get_obs(self):
        return np.array([self.x / self.length, self.t / 30], dtype=np.float32)

    def _get_info(self):
        return {"distance": self.length - self.x}

    def reset(self, *, seed: Optional[int] = None, options: Optional[dict] = None):
        super().reset(seed=seed)
        self.x = int(self.np_random.integers(0, self.length // 2))
        self.t = 0
        return self._get_obs(), self._get_info()

    def step(self, action):
        self.x = max(0, self.x + (1 if action == 1 else -1))
        self.t += 1
        terminated = self.x >= self.length
        truncated = self.t >= 30
        return self._get_obs(), 1.0 if terminated else -0.01, terminated, truncated, self._get_info()

    def render(self):
        if self.render_mode == "ansi":
            return "." * self.x + "o" + "." * (self.length - self.x)


def build_agent(env: gym.Env, lr: float) -> DQNAgent:
    model = Sequential([
        InputLayer(input_shape=(1, 2)),
        Flatten(),
        Dense(16, activation="relu"),
        Dense(env.action_space.n, activation="linear"),
    ])
    agent = DQNAgent(model=model, nb_actions=env.action_space.n, memory=SequentialMemory(limit=2000, window_length=1),
                     nb_steps_warmup=40, target_model_update=1e-2, policy=EpsGreedyQPolicy(eps=0.3))
    agent.compile(Adam(lr=lr), metrics=["mae"])
    return agent


def play(env, agent, seed):
    obs, info = env.reset(seed=seed)
    terminated = truncated = False
    total = 0.0
    while not (terminated or truncated):
        action = agent.forward(obs)
        obs, reward, terminated, truncated, info = env.step(action)
        total += reward
    print(env.render())
    return total, info["distance"]


def main():
    parser = argparse.ArgumentParser(description="Walks along a corridor.")
    sub = parser.add_subparsers(dest="command", required=True)
    train = sub.add_parser("train")
    train.add_argument("--steps", type=float, default=5e2)
    train.add_argument("--lr", type=float, default=5e-3)
    show = sub.add_parser("play")
    show.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()

    tf.keras.utils.set_random_seed(17)
    env = Corridor(render_mode="ansi")
    agent = build_agent(env, lr=getattr(args, "lr", 1e-3))
    if args.command == "train":
        history = agent.fit(env, nb_steps=args.steps, visualize=False, verbose=1, log_interval=250)
        print("episodes", len(history.history["episode_reward"]))
        agent.save_weights("corridor.h5f", overwrite=True)
    else:
        agent.load_weights("corridor.h5f")
        agent.training = False
        total, distance = play(env, agent, args.seed)
        print(f"total {total:.2f}, left {distance}")


if __name__ == "__main__":
    main()

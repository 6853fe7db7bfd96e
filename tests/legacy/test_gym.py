"""gym as it was until 0.25 in old scripts: environments, wrappers, spaces, registration, seeds, four values."""

import pytest

HEAD = """
import gym
import numpy as np
from gym import spaces

class Old(gym.Env):
    '''Four values, and a reset that takes nothing; ends by itself after `length` steps.'''
    metadata = {"render.modes": ["human", "rgb_array"]}
    def __init__(self, length=5):
        self.observation_space = spaces.Box(low=np.array([0]), high=np.array([9]))
        self.action_space = spaces.Discrete(2)
        self.length = length
    def reset(self):
        self.now = 0
        return np.zeros(1)
    def step(self, action):
        self.now += 1
        return np.full(1, self.now), 1.0, self.now >= self.length, {}

def play(env, limit=1000):
    state, done, count = env.reset(), False, 0
    while not done and count < limit:
        state, reward, done, info = env.step(env.action_space.sample())
        count += 1
    return count, info
"""

# What is tried: script after HEAD -> what it prints.
SNIPPETS = {
    "four values, and a time limit that ends the loop": (
        "env = gym.make('MountainCar-v0')\nprint(play(env))",
        ["(200, {'TimeLimit.truncated': True})"],
    ),
    "Gymnasium's wrapper for four values, which Gymnasium 1 dropped": (
        """
        import gymnasium
        from gymnasium.wrappers import StepAPICompatibility
        from gymnasium.wrappers.step_api_compatibility import StepAPICompatibility as Same
        env = StepAPICompatibility(gymnasium.make("CartPole-v1"), output_truncation_bool=False)
        env.reset()
        state, reward, done, info = env.step(0)
        print(done, StepAPICompatibility is Same, gymnasium.wrappers.StepAPICompatibility(env).output_truncation_bool)
        """,
        ["False True True"],
    ),
    "a result that is not unpacked at once": (
        """
        env = gym.make("CartPole-v0")
        env.reset()
        result = env.step(0)
        print(len(result), type(result[2]))
        print(len(env.step(0)), env.step(0)[3])
        """,
        ["4 <class 'bool'>", "4 {}"],
    ),
    "a result that is unpacked later": (
        """
        env = gym.make("CartPole-v0")
        state, info = env.reset()
        def four():
            result = env.step(0)
            state, reward, done, info = result
            return info
        def five():
            result = env.step(0)
            state, reward, terminated, truncated, info = result
            return info
        print(four(), five())
        """,
        ["{} {}"],
    ),
    "four and five values in one file": (
        """
        env = gym.make("CartPole-v0")
        state, _ = env.reset()
        state, reward, terminated, truncated, _ = env.step(0)
        print(terminated, truncated)
        def older(env):
            state = env.reset()
            next_state, reward, done, _ = env.step(1)
            return state.shape, done
        print(older(env), older(Old()))
        """,
        ["False False", "((4,), False) ((1,), False)"],
    ),
    "observation and info of an environment that gives four values": (
        """
        env = Old(1)
        state, info = env.reset()
        state, reward, terminated, truncated, info = env.step(0)
        print(terminated, truncated, info, env.reset()[0])
        """,
        ["True False {} [0.]"],
    ),
    "the rest of the values": (
        """
        env = gym.make("CartPole-v0", max_episode_steps=1)
        env.reset()
        state, reward, done, *rest = env.step(0)
        print(done, rest)
        """,
        ["True [{'TimeLimit.truncated': True}]"],
    ),
    "several values in one assignment, in a walrus, in a list": (
        """
        env = gym.make("CartPole-v0")
        state, done = env.reset(), False
        print(state.shape, (result := env.step(0))[2])
        states, rewards, dones, infos = zip(*[env.step(action) for action in (0, 1)])
        print(rewards, dones)
        (state, reward, done, info), other = env.step(0), 1
        print(done, other)
        """,
        ["(4,) False", "(1.0, 1.0) (False, False)", "False 1"],
    ),
    "methods, nested functions and attributes": (
        """
        class Game:
            def __init__(self):
                self.env = gym.make("CartPole-v0")
            def run(self):
                state = self.env.reset()
                def one():
                    state, self.reward, self.done, info = self.env.step(0)
                    return state
                return state.shape, one().shape, self.done
        print(Game().run())
        """,
        ["((4,), (4,), False)"],
    ),
    "several environments at once": (
        """
        envs = gym.vector.make("CartPole-v0", num_envs=2, asynchronous=False)
        states = envs.reset()
        states, rewards, dones, infos = envs.step(np.array([0, 1]))
        print(states.shape, dones)
        """,
        ["(2, 4) [False False]"],
    ),
    "things that step and reset, but are no environments": (
        """
        class Optimizer:
            def step(self, *more): return 1, 2, 3, 4, 5
            def reset(self): return 1, {}
            def render(self, name, **how): return name, how
        a, b, c, d, e = Optimizer().step()
        result = Optimizer().step()
        print(result, Optimizer().reset(), Optimizer().render("a", mode="b", size=3))
        """,
        ["(1, 2, 3, 4, 5) (1, {}) ('a', {'mode': 'b', 'size': 3})"],
    ),
    "own wrappers of four values in gym's and around gym's": (
        """
        class Counting(gym.Wrapper):
            def __init__(self, env):
                super().__init__(env)
                self.count = 0
            def step(self, action):
                state, reward, done, info = self.env.step(action)
                self.count += 1
                return state, reward, done, info
            def reset(self, **kwargs):
                return self.env.reset(**kwargs)
        class Passing(gym.Wrapper):
            def step(self, action):
                return self.env.step(action)
        class Doubled(gym.ObservationWrapper):
            def observation(self, observation):
                return 2 * observation
        class Half(gym.RewardWrapper):
            def reward(self, reward):
                return reward / 2
        class Other(gym.ActionWrapper):
            def action(self, action):
                return 2 - action
        env = Other(Half(Doubled(Passing(Counting(gym.make("MountainCar-v0"))))))
        print(play(env), env.count)
        env = gym.wrappers.TimeLimit(Doubled(Counting(Old(9))), max_episode_steps=3)
        print(play(env), env.count)
        env = gym.wrappers.FrameStack(Doubled(Old(2)), 2)
        print(play(env), np.shape(env.reset()))
        print(play(Half(Old(3))), Half(Old()).reset(), Doubled(Old(3)).unwrapped.length)
        """,
        [
            "(200, {'TimeLimit.truncated': True}) 200",
            "(3, {'TimeLimit.truncated': True}) 3",
            "(2, {}) (2, 1)",
            "(3, {}) [0.] 3",
        ],
    ),
    "wrappers of gym before 0.9.6": (
        """
        class Doubled(gym.ObservationWrapper):
            def _observation(self, observation):
                return 2 * observation
        class Half(gym.RewardWrapper):
            def _reward(self, reward):
                return reward / 2
        class Skipping(gym.Wrapper):
            def _step(self, action):
                self.env.step(action)
                return self.env.step(action)
            def _reset(self):
                return self.env.reset() + 1
        env = Half(Doubled(Skipping(Old(4))))
        print(env.reset(), env.step(0), play(env))
        """,
        ["[2.] (array([4]), 0.5, False, {}) (2, {})"],
    ),
    "environments of gym before 0.9.6": (
        """
        class Older(gym.Env):
            metadata = {"render.modes": ["human"]}
            action_space = spaces.Discrete(2)
            observation_space = spaces.Box(-np.inf, np.inf, shape=(2,))
            def __init__(self):
                self._seed()
            def _seed(self, seed=None):
                self.np_random, seed = gym.utils.seeding.np_random(seed)
                return [seed]
            def _reset(self):
                self.now = 0
                return self.np_random.randint(100, size=2)
            def _step(self, action):
                self.now += 1
                return np.zeros(2), 0.0, self.now == 3, {}
            def _render(self, mode="human", close=False):
                print("drawn", mode, close)
        class Newer(Older):
            def _reset(self):
                return super()._reset() + 1000
        env = Older()
        print(env.seed(5), (env.reset() == (env.seed(5), env.reset())[1]).all(), play(env))
        env.render(); env.render("human"); env.render(close=True)
        gym.envs.registration.register(id="Older-v0001", entry_point=Older, timestep_limit=2)
        env = gym.make("Older-v0001")
        print(play(env), env.spec.timestep_limit)
        print(min(Newer().reset()) >= 1000)
        """,
        ["[5] True (3, {})", "drawn human False", "drawn human False", "drawn human True",
         "(2, {'TimeLimit.truncated': True}) 2", "True"],
    ),
    "a method with an underscore that is not meant for gym": (
        """
        class Base(gym.Env):
            action_space = spaces.Discrete(2)
            def step(self, action):
                return 0, self._reward(action), True, {}
            def reset(self):
                return self._reset()
            def _reset(self):
                return 7
        class One(Base):
            def _reward(self, action):
                return 10 * action
            def _step(self, action):
                raise RuntimeError
        print(One().step(2), One().reset())
        """,
        ["(0, 20, True, {}) 7"],
    ),
    "environments between the generations": (
        """
        class Between(Old):
            def reset(self, seed=None, options=None):
                super().reset()
                self.seeded_with = seed
                return np.ones(1)
        class Asked(Old):
            def reset(self, *, seed=None, return_info=False, options=None):
                state = super().reset()
                return (state, {"a": 1}) if return_info else state
        gym.register(id="Between-v0", entry_point=Between, max_episode_steps=3)
        env = gym.make("Between-v0")
        env.seed(8)
        print(env.reset(), env.seeded_with, play(env), env.seeded_with)
        env = gym.wrappers.TimeLimit(Asked(), 2)
        print(env.reset(), play(env))
        """,
        ["[1.] 8 (3, {'TimeLimit.truncated': True}) None", "[0.] (2, {'TimeLimit.truncated': True})"],
    ),
    "a class that derives from nothing": (
        """
        class Plain:
            action_space, observation_space = spaces.Discrete(2), spaces.Discrete(3)
            def reset(self): self.now = 0; return 0
            def step(self, action): self.now += 1; return 1, 0.0, self.now > 5, {}
        print(play(Plain()), play(gym.wrappers.TimeLimit(Plain(), max_episode_steps=2)))
        """,
        ["(6, {}) (2, {'TimeLimit.truncated': True})"],
    ),
    "classes derived from gym's environments": (
        """
        from gym.envs.classic_control import CartPoleEnv
        class Longer(CartPoleEnv):
            def __init__(self):
                super().__init__()
                self.x_threshold = 99
            def reset(self):
                self.count = 0
                return super().reset()
            def step(self, action):
                state, reward, done, info = super().step(action)
                self.count += 1
                return state, reward, done, info
            def render(self, mode="human"):
                return super().render(mode)
        env = Longer()
        print(env.seed(3), env.reset().shape, play(env)[0] == env.count, env.render("rgb_array").shape)
        first = env.reset(); env.seed(3); env.reset()
        """,
        ["[3] (4,) True (400, 600, 3)"],
    ),
    "env.seed is taken by the next reset, and only by that": (
        """
        env = gym.make("CartPole-v1")
        print(env.seed(np.int64(42)), env.action_space.seed(1))
        starts = [env.reset() for _ in range(3)]
        env.seed(42)
        print([bool((one == other).all()) for one, other in zip(starts, [env.reset() for _ in range(3)])])
        print((starts[0] == starts[1]).any(), (gym.make("CartPole-v1").reset(seed=42) == starts[0]).all())
        env.seed(42); env.seed(None)
        print((env.reset() == starts[0]).any(), len(env.reset(seed=1, return_info=True)))
        """,
        ["[42] [1]", "[True, True, True]", "False True", "False 2"],
    ),
    "a seed of the script's own": (
        """
        class Seeded(Old):
            def seed(self, seed=None):
                print("own", seed)
                super().seed(seed)
                return [seed]
            def reset(self):
                return self.np_random.rand(1)
        env = gym.wrappers.TimeLimit(Seeded(), 5)
        print(env.seed(4), (env.reset() == (env.seed(4), env.reset())[1]).all())
        """,
        ["own 4", "own 4", "[4] True"],
    ),
    "the old names of random generators": (
        """
        from gym.utils import seeding
        random, seed = seeding.np_random(7)
        print(seed, random.rand(2, 3).shape, random.randn(2).shape, isinstance(float(random.rand()), float))
        print(random.randint(5) in range(5), random.randint(3, 4), random.randint(0, 9, (2,)).shape)
        print(random.random_sample() < 1, random.tomaxint() >= 0, random.random_integers(3, 3), random.choice([1]))
        import copy, pickle
        print(pickle.loads(pickle.dumps(random)).rand() == copy.deepcopy(random).rand() == random.rand())
        print(seeding.np_random(7)[0].integers(1000) == np.random.default_rng(7).integers(1000))
        print(seeding.hash_seed(3) % 2**31 >= 0, seeding.create_seed(5), 0 <= seeding.create_seed() < 2**64)
        random.seed(3); one = random.rand(); random.seed(3); print(one == random.rand())
        """,
        ["7 (2, 3) (2,) True", "True 3 (2,)", "True True 3 1", "True", "True", "True 5 True", "True"],
    ),
    "spaces made in old ways": (
        """
        from gym.spaces import prng
        prng.seed(1)
        print(spaces.Box(-np.inf, np.inf, shape=(2,)), spaces.Box([0, 0], [1, 2]).shape, spaces.Box(0, 1, 3).shape)
        print(spaces.Box(-np.finfo(np.float64).max, np.finfo(np.float64).max, (1,)), spaces.Box(0, 1, (1,), None).dtype)
        print(spaces.MultiDiscrete([[0, 1], [0, 2]]).nvec, spaces.MultiDiscrete([2, 3]).nvec)
        print(type(spaces.Discrete(np.int64(4)).n), spaces.Discrete(4.0).n, prng.np_random.rand() < 1)
        """,
        ["Box(-inf, inf, (2,), float32) (2,) (3,)", "Box(-inf, inf, (1,), float32) float32", "[2 3] [2 3]",
         "<class 'int'> 4 True"],
    ),
    "registration with arguments of its time": (
        """
        from gym.envs.registration import register, registry
        register(id="One-v0", entry_point="__main__:Old", kwargs={"length": 50}, nondeterministic=False, trials=10,
                 tags={"wrapper_config.TimeLimit.max_episode_steps": 4}, local_only=True, reward_threshold=1.0)
        print(play(gym.make("One-v0")), gym.spec("One-v0").tags, gym.make("One-v0").spec.reward_threshold)
        register(id="One-v0", entry_point=Old, max_episode_steps=2)
        print(play(gym.make("One-v0")), play(gym.spec("One-v0").make())[0])
        print("One-v0" in [spec.id for spec in gym.envs.registry.all()], "One-v0" in registry.env_specs)
        for name in registry.env_specs.copy():
            if "One" in name:
                del gym.envs.registration.registry.env_specs[name]
        register("One-v0", entry_point=Old, max_episode_steps=1)
        print(play(registry.make("One-v0")), registry.spec("CartPole-v0").max_episode_steps)
        """,
        ["(4, {'TimeLimit.truncated': True}) {'wrapper_config.TimeLimit.max_episode_steps': 4} 1.0",
         "(2, {'TimeLimit.truncated': True}) 2", "True True", "(1, {'TimeLimit.truncated': True}) 200"],
    ),
    "attributes through wrappers": (
        """
        class Passing(gym.Wrapper):
            pass
        env = Passing(gym.make("CartPole-v0"))
        env._max_episode_steps = 3
        env.env.env.x_threshold = env.env.env.theta_threshold_radians = 99.0
        print(play(env)[0], env._max_episode_steps, env.unwrapped.x_threshold, env.env._elapsed_steps)
        gym.register(id="Own-v0", entry_point=Old, max_episode_steps=9)
        env = gym.make("Own-v0")
        env._max_episode_steps = 4
        env.env.secret = env.env.length = 3
        print(play(env)[0], env.unwrapped.length, env.length, hasattr(env, "_nothing"))
        import copy
        print(play(copy.deepcopy(env))[0])
        """,
        ["3 3 99.0 3", "3 3 3 False", "3"],
    ),
    "the time limit of older gym": (
        """
        from gym.wrappers.time_limit import TimeLimit
        print(play(TimeLimit(Old(99), max_episode_seconds=None, max_episode_steps=7))[0])
        print(play(TimeLimit(Old(99), None, 6))[0])
        print(play(gym.wrappers.SkipWrapper(2)(Old(9)))[0])
        """,
        ["7", "6", "3"],
    ),
    "environments that were renamed": (
        """
        for name in "FrozenLake-v0 FrozenLake8x8-v0 Taxi-v1 Taxi-v2 Pendulum-v0 Acrobot-v0 CartPole-v3".split():
            print(gym.make(name).spec.id)
        """,
        ["FrozenLake-v1", "FrozenLake8x8-v1", "Taxi-v3", "Taxi-v3", "Pendulum-v1", "Acrobot-v1", "CartPole-v1"],
    ),
    "robots whose simulator is not installed, and as if it were": (
        """
        import sys
        import gymnasium.envs.classic_control
        sys.modules["mujoco"] = None
        for name in ("HalfCheetah-v1", "Ant-v4"):
            try:
                gym.make(name)
            except Exception as error:
                print(str(error).split(": ")[0], '".[mujoco]"' in str(error))
        gymnasium.registry["Ant-v5"].entry_point = gymnasium.envs.classic_control.PendulumEnv
        env = gym.make("Ant-v2")
        print(env.spec.id, env.reset().shape)
        """,
        ["environment 'HalfCheetah-v5' cannot be made True", "environment 'Ant-v5' cannot be made True", "Ant-v5 (3,)"],
    ),
    "a table's environment": (
        """
        from gym.envs.toy_text import discrete
        class Line(discrete.DiscreteEnv):
            def __init__(self):
                P = {s: {a: [(1.0, min(s + a, 3), float(s == 2), s + a >= 3)] for a in range(2)} for s in range(4)}
                super().__init__(4, 2, P, [1.0, 0.0, 0.0, 0.0])
        env = Line()
        state = env.reset()
        print(state, [env.step(1) for _ in range(3)][-1], play(gym.wrappers.TimeLimit(Line(), 1))[0])
        """,
        ["0 (3, 1.0, True, {'prob': 1.0}) 1"],
    ),
    "logging, uploading, colours": (
        """
        gym.logger.set_level(40); gym.undo_logger_setup(); gym.logger.setLevel(gym.logger.INFO)
        gym.upload("/tmp/x", api_key="y")
        import gym.scoreboard, gym.configuration
        from gym import error, utils
        from gym.utils import colorize, EzPickle
        print(len(utils.colorize("a", "green")) > 1, issubclass(error.UnregisteredEnv, Exception), gym.__version__[:2])
        """,
        ["True True 0."],
    ),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("pattern", SNIPPETS)
def test_a_pattern_of_its_time(pattern, run_old):
    text, expected = SNIPPETS[pattern]
    ran = run_old(HEAD + "\n".join(line.removeprefix("        ") for line in text.splitlines()))
    assert (ran.status, ran.output) == (0, expected), ran.errors

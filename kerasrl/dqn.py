"""Where the agent used to be; scripts migrated back then begin with `import kerasrl.dqn`."""

from kerasrl.agents import DQNAgent as DQNAgent
from kerasrl.agents import ExponentialAnnealedPolicy as ExponentialAnnealedPolicy
from kerasrl.replay import PrioritizedMemory as PrioritizedMemory
from kerasrl.replay import SequentialMemory as SequentialMemory

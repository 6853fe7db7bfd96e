"""Settings: what can be set, and how it is checked, read from files, layered and trusted. Imports nothing heavy."""

from kerasrl.config.agents import AnyConfig as AnyConfig
from kerasrl.config.other_agents import CEMConfig as CEMConfig
from kerasrl.config.other_agents import DDPGConfig as DDPGConfig
from kerasrl.config.other_agents import NAFConfig as NAFConfig
from kerasrl.config.other_agents import SARSAConfig as SARSAConfig
from kerasrl.config.settings import Config as Config

"""Settings: what can be set, and how it is checked, read from files, layered and trusted. Imports nothing heavy."""

from kerasrl.config.settings import Config as Config

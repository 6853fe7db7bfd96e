"""Importing this module lets Python find the recipe's modules (train, config, play, ...) outside their folder.

import kerasrl.recipe
from config import Config
from train import train
"""

import sys

from kerasrl.commands import FOLDER

if str(FOLDER) not in sys.path:
    sys.path.insert(0, str(FOLDER))  # first: they import each other by names that others may have, too

"""Environments: made by name, checked, presented to the agent through one protocol of five values, drawn, filmed.

Only `processors`, which builds on Keras-RL's class, and `checks` import TensorFlow: a wrong name is told in 0.3 s.
"""

from kerasrl.environments.adapter import EnvironmentAdapter as EnvironmentAdapter
from kerasrl.environments.arguments import require_made as require_made
from kerasrl.environments.copying import Copies as Copies
from kerasrl.environments.copying import carry_over as carry_over
from kerasrl.environments.display import draws as draws
from kerasrl.environments.display import has_display as has_display
from kerasrl.environments.display import require_able_to_draw as require_able_to_draw
from kerasrl.environments.display import require_drawing as require_drawing
from kerasrl.environments.display import require_pictures as require_pictures
from kerasrl.environments.instances import close as close
from kerasrl.environments.instances import closing as closing
from kerasrl.environments.instances import is_environment as is_environment
from kerasrl.environments.instances import name_of as name_of
from kerasrl.environments.instances import time_limit as time_limit
from kerasrl.environments.making import another as another
from kerasrl.environments.making import full_name as full_name
from kerasrl.environments.making import make as make
from kerasrl.environments.rendering import render as render
from kerasrl.environments.seeding import seed as seed
from kerasrl.environments.spaces import check_spaces as check_spaces
from kerasrl.environments.spaces import describe_spaces as describe_spaces
from kerasrl.environments.spaces import require_alike as require_alike
from kerasrl.environments.spaces import reward_threshold as reward_threshold

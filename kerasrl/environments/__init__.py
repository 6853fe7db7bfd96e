"""Environments: made by their names, checked, and seen by the agent through one protocol of five values.

Nothing here but `processors`, which builds on Keras-RL's class, imports TensorFlow: a wrong name is told in 0.3 s.
"""

from kerasrl.environments.making import full_name as full_name
from kerasrl.environments.making import make as make
from kerasrl.environments.objects import another as another
from kerasrl.environments.objects import close as close
from kerasrl.environments.objects import is_environment as is_environment
from kerasrl.environments.objects import name_of as name_of
from kerasrl.environments.objects import require_able_to_draw as require_able_to_draw
from kerasrl.environments.protocol import Environment as Environment
from kerasrl.environments.rendering import draws as draws
from kerasrl.environments.rendering import has_display as has_display
from kerasrl.environments.rendering import in_digits as in_digits
from kerasrl.environments.rendering import render as render
from kerasrl.environments.rendering import require_display as require_display
from kerasrl.environments.rendering import require_drawing as require_drawing
from kerasrl.environments.rendering import require_pictures as require_pictures
from kerasrl.environments.seeding import seed as seed
from kerasrl.environments.spaces import check_spaces as check_spaces
from kerasrl.environments.spaces import reward_threshold as reward_threshold

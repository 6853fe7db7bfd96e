"""Networks that learn: their weights, targets and optimizers, updated in one compiled TensorFlow call for each step."""

from kerasrl.compat import keras_rl as keras_rl  # first: it lets the modules below import Keras-RL

# isort: split

from kerasrl.learning.batch_update import BatchUpdate as BatchUpdate
from kerasrl.learning.batch_update import Transitions as Transitions
from kerasrl.learning.compiled_call import CompiledCalls as CompiledCalls
from kerasrl.learning.device import configure as configure
from kerasrl.learning.inputs import ModelInputs as ModelInputs
from kerasrl.learning.trainable import Trainable as Trainable
from kerasrl.learning.trainable import clone as clone
from kerasrl.learning.trainable import fresh as fresh
from kerasrl.learning.updates import Metrics as Metrics

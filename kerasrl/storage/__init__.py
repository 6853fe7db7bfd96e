"""Files: weights, training states, films; all of them appear whole or not at all. No TensorFlow."""

from kerasrl.storage.state import TrainingState as TrainingState

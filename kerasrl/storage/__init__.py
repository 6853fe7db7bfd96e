"""Files, without TensorFlow: weights and training states, which appear whole or not at all, and old Keras models."""

from kerasrl.storage.state import TrainingState as TrainingState

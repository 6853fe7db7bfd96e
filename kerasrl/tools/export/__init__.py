"""Networks as files for other programs: ONNX, LiteRT, Keras, SavedModel; checked to act like the agent."""

from kerasrl.tools.export.exporting import export as export
from kerasrl.tools.export.exporting import run as run

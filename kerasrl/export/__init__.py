"""Networks as files for other programs: ONNX, LiteRT, Keras and SavedModel, and whether they act as the agent does."""

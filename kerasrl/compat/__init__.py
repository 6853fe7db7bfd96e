"""What other people's libraries need to import and run here; each repair names the upstream file and line.

Nothing is repaired until one of the modules is imported: `keras_rl` (which imports TensorFlow) or `gym`.
"""

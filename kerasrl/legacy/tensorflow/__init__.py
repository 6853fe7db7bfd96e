"""TensorFlow 1's names, and what is left of its graphs and sessions."""

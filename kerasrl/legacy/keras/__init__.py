"""Keras 1 and 2 on Keras 3: names, arguments, layers, the backend's functions, files."""

"""gym's names, calls and classes until 0.25, and the environments of their time."""

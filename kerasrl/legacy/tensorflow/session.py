"""TensorFlow 1's sessions and graphs, as far as they only configured: nothing has to be run any more."""

# The methods are TensorFlow's.
# ruff: noqa: D102

import contextlib
from typing import Any

from kerasrl.errors import UserError


class Nothing:
    """What is left of an operation that prepared a graph, such as global_variables_initializer()."""

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing, which is all there is to do."""

    mark_used = run


class _Default:
    def as_default(self) -> Any:
        return contextlib.nullcontext(self)


class Graph(_Default):
    """What is left of TensorFlow 1's default graph."""

    def finalize(self) -> None:
        """Change nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UserError(f"Graph.{name} of TensorFlow 1 is missing: TensorFlow 2 runs without a graph")


class Session(_Default):
    """What is left of a session: it ignores its configuration and runs what has been computed already."""

    def __init__(self, target: str = "", graph: Any = None, config: Any = None) -> None:
        self.graph = Graph()

    def run(self, fetches: Any, feed_dict: Any = None, **kwargs: Any) -> Any:
        """Return the values of tensors and variables; nothing for operations that prepared a graph.

        Raises:
            UserError: Something of a graph is to be computed.
        """
        if isinstance(fetches, list | tuple):
            return [self.run(fetch, feed_dict) for fetch in fetches]
        if fetches is None or isinstance(fetches, Nothing):
            return None
        if feed_dict or not hasattr(fetches, "numpy"):
            raise UserError(
                "Session.run needs a TensorFlow 1 graph, which is missing; what Keras does not compute "
                "has to be written for TensorFlow 2"
            )
        return fetches.numpy()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def close(self) -> None:
        pass

    def list_devices(self) -> list[Any]:
        import tensorflow as tf

        return list(tf.config.list_logical_devices())

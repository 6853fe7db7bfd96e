"""TensorFlow 1's sessions and graphs, as far as they only configured: nothing has to be run any more."""

import contextlib
from collections.abc import Iterator
from typing import Any

from kerasrl.errors import UserError


class Nothing:
    """What is left of an operation that prepared a graph, such as global_variables_initializer()."""

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing, which is all there is to do."""

    mark_used = run


class Graph:
    """What is left of TensorFlow 1's default graph."""

    @contextlib.contextmanager
    def as_default(self) -> Iterator["Graph"]:
        """Change nothing."""
        yield self

    def finalize(self) -> None:
        """Change nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UserError(f"Graph.{name} of TensorFlow 1 is missing: there is no graph any more")


class Session:
    """What is left of a session: it takes its configuration and runs what has been computed already.

    Args:
        target: Ignored, as is all else.
        graph: Ignored.
        config: Ignored; TensorFlow shares memory and processors by itself.
    """

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

    @contextlib.contextmanager
    def as_default(self) -> Iterator["Session"]:
        """Change nothing."""
        yield self

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def close(self) -> None:
        """Do nothing."""

    def list_devices(self) -> list[Any]:
        """Return TensorFlow's devices."""
        import tensorflow as tf

        return list(tf.config.list_logical_devices())


InteractiveSession = Session

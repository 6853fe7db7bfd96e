"""Matplotlib, whatever MPLBACKEND says: this project draws into files, for which any backend will do."""

import os
import sys


def import_matplotlib() -> None:
    """Import Matplotlib, which refuses to be imported while MPLBACKEND names a backend that does not exist."""
    try:
        import matplotlib
    except ValueError:
        backend = os.environ.pop("MPLBACKEND", None)
        if backend is None:
            raise
        for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
            del sys.modules[name]  # what has been imported of it does not go with the rest
        try:
            import matplotlib  # noqa: F401
        finally:
            os.environ["MPLBACKEND"] = backend

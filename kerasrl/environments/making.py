"""Environments of gym, of Gymnasium, and of one's own, made by their names."""

import contextlib
import difflib
import inspect
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from kerasrl.compat import names
from kerasrl.compat.gym import gym
from kerasrl.compat.quiet import quiet_stderr
from kerasrl.environments import atari
from kerasrl.environments.protocol import takes_seed
from kerasrl.environments.rendering import require_display, require_drawing
from kerasrl.errors import Note, UserError, to_install

# What environments of a namespace, or those that do not import, need: module to import -> extra of this project.
_EXTRAS = {"gymnasium": "gymnasium", "ale_py": "atari", "minatar": "minatar", "Box2D": "box2d", "box2d": "box2d"}
_NAMESPACES = {"ALE": "ale_py", "MinAtar": "minatar.gym"}


def make(env_name: str, render_mode: str | None = None, **options: Any) -> Any:
    """Make an environment of gym, or of Gymnasium if gym has none with that name.

    Args:
        env_name: `Name-v0`; `module:Name-v0` imports the module, which registers the environment with gym or Gymnasium;
            `gymnasium:Name-v0` never looks in gym; `ALE/...`, `MinAtar/...`, and the names that Atari games had in gym,
            such as `PongDeterministic-v4`, need no module.
        render_mode: 'human' for a window, 'rgb_array' for pictures.
        options: Further arguments of the environment.

    Raises:
        UserError: There is none; the message suggests the nearest names, or says what has to be installed.
    """
    with _explained(env_name):
        module, name = _with_version(env_name)
        # The checker repeats on every step what `check_spaces` asks once; gym 0.26's "out of date"
        # notice would tell people to leave the tutorial's environment.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Not every environment takes a render_mode.
            options |= {} if render_mode is None else {"render_mode": render_mode}
            is_in_gym = name in gym.envs.registration.registry
            if not is_in_gym:
                atari.register(name)
            if module == "gymnasium" or (not is_in_gym and name in _gymnasium_names()):
                import gymnasium

                _check_drawing(gymnasium, name, render_mode)
                with quiet_stderr():  # the Arcade Learning Environment prints a greeting
                    return with_plain_counts(gymnasium.make(name, disable_env_checker=True, **options))
            _check_drawing(gym, name, render_mode)
            older = _is_older(name) or None  # None: as it was registered
            return gym.make(name, disable_env_checker=True, apply_api_compatibility=older, **options)


def full_name(env_name: str) -> str:
    """Return an environment's name with its version, which may be left out: a `Note` tells that the newest is taken.

    Raises:
        UserError: The environment's module cannot be imported.
    """
    with _explained(env_name):
        module, name = _with_version(env_name)
        return f"{module}:{name}" if module else name


def _with_version(env_name: str) -> tuple[str, str]:
    """Import what registers an environment; return the module, "" if there is none, and the name with its version."""
    module, _, name = env_name.rpartition(":")
    namespace = name.partition("/")[0] if "/" in name else ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if module and module != "gymnasium":
            _name_in_full(name, module, names.module(module).__name__)
        if namespace in _NAMESPACES:
            register_all(_NAMESPACES[namespace])
    if module != "gymnasium" and name in gym.envs.registration.registry:
        return module, name
    for known in ([] if module == "gymnasium" else [gym.envs.registration.registry]) + [_gymnasium_names()]:
        if name in known:
            break
        versions = [int(match[1]) for own in known if (match := re.fullmatch(re.escape(name) + r"-v(\d+)", own))]
        if versions:
            newest = f"{name}-v{max(versions)}"
            warnings.warn(f"{name}: {newest} taken", Note, stacklevel=4)
            return module, newest
    return module, name


@contextlib.contextmanager
def _explained(env_name: str) -> Iterator[None]:
    """Raise what goes wrong in making an environment as a `UserError` that says what to do."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        told = refusal(env_name, error)
        raise told from told.__cause__


def _name_in_full(name: str, module: str, full: str) -> None:
    """Let an entry point `module:Class` of an environment find a module that is known by a longer name."""
    for library in filter(None, (gym, sys.modules.get("gymnasium"))):
        spec = library.envs.registration.registry.get(name)
        if full != module and isinstance(getattr(spec, "entry_point", None), str):
            spec.entry_point = re.sub(f"^{re.escape(module)}:", lambda _: f"{full}:", spec.entry_point)


def refusal(env_name: str, error: Exception) -> UserError:
    """Return what to tell about an environment that cannot be made, given what was raised when it was tried.

    Only what cannot be explained is its cause.
    """
    if isinstance(error, gym.error.UnregisteredEnv) or (
        type(error).__module__ == "gymnasium.error" and "NotFound" in type(error).__name__
    ):
        return UserError(f"no environment is called {env_name!r}; {_hint(env_name.rpartition(':')[2])}")
    missing = [extra for library, extra in _EXTRAS.items() if re.search(rf"\b{library}\b", str(error))]
    is_missing = isinstance(error, ImportError) or type(error).__name__ == "DependencyNotInstalled"
    cannot = f"environment {env_name!r} cannot be made"
    if is_missing and missing:
        return UserError(f"{cannot}: its libraries are not installed: {to_install(missing[0])}")
    if isinstance(error, AttributeError) and error.name == "unwrapped":
        return UserError(f"{cannot}: {type(error.obj).__name__} is no gym.Env; derive the class from it")
    told = UserError(f"{cannot}: {_one_line(error)}")
    told.__cause__ = error
    return told


def with_plain_counts(env: Any) -> Any:
    """Return `env`, its spaces counting in plain ints: Gymnasium's count in np.int64, which Keras's Dense refuses."""
    for space in (env.action_space, env.observation_space):
        if type(space).__name__ == "Discrete":
            space.n = int(space.n)
    return env


def register_all(module: str) -> None:
    """Let a library register its environments with Gymnasium."""
    library = names.module(module)
    import gymnasium

    if hasattr(library, "register_envs"):  # MinAtar; ale_py does it when it is imported after Gymnasium
        library.register_envs()
    else:
        gymnasium.register_envs(library)


def _gymnasium_names() -> Any:
    """Return the names that Gymnasium knows, if it is installed."""
    try:
        import gymnasium
    except ImportError:
        return {}
    return gymnasium.registry


def _hint(name: str) -> str:
    known = {own.lower(): own for own in gym.envs.registration.registry}
    gymnasium = sys.modules.get("gymnasium")  # imported, if it is installed, when gym did not know the name
    known |= {other.lower(): other for other in gymnasium.registry} if gymnasium else {}
    nearest = [known[match] for match in difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.7)]
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else "name one of your own as module:Name-v0"
    return hint if gymnasium else f"{hint} (for Gymnasium's: {to_install('gymnasium')})"


def _check_drawing(library: Any, name: str, render_mode: str | None) -> None:
    """Raise `UserError` if pictures are wanted of a class that draws none, or a window where there is no screen."""
    if render_mode is None:
        return
    registration = library.envs.registration
    kind = getattr(registration.registry.get(name), "entry_point", None)
    if isinstance(kind, str):
        kind = (registration.load if library is gym else registration.load_env_creator)(kind)
    if inspect.isclass(kind):  # of what a function makes nothing is known yet
        require_drawing(kind, name)
    if render_mode == "human":
        require_display()


def _is_older(name: str) -> bool:
    """Return whether gym has to translate: the environment is for older gym, where `step` returns four values."""
    spec = gym.envs.registration.registry.get(name)
    entry_point = getattr(spec, "entry_point", None)
    kind: Any = gym.envs.registration.load(entry_point) if isinstance(entry_point, str) else entry_point
    if not inspect.isclass(kind) or takes_seed(kind):
        return False
    if not hasattr(kind, "seed"):
        # gym's translation calls it; older gym's own Env had it.
        kind.seed = lambda self, seed=None: None  # type: ignore[attr-defined]
    if not hasattr(kind, "observation_space"):
        kind.observation_space = None  # type: ignore[attr-defined]  # as above; one's own is set when it is made
    return True


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())

"""Environments made by name, from gym, Gymnasium or one's own module, or as copies of one that exists."""

import contextlib
import difflib
import importlib
import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from kerasrl import named
from kerasrl.compat.gym import gym
from kerasrl.compat.quiet import quiet_stderr
from kerasrl.environments import atari
from kerasrl.environments.arguments import require_made, require_taken
from kerasrl.environments.copying import copied, show_as
from kerasrl.environments.display import require_able_to_draw, require_display, require_drawing
from kerasrl.environments.instances import is_environment, name_of, takes, takes_seed
from kerasrl.environments.spaces import kind_of
from kerasrl.errors import Note, UserError, one_line
from kerasrl.phrases import to_install, to_type

# What an environment needs: module that is imported -> extra of this project that installs it.
_EXTRAS = {
    "MuJoCo": "mujoco", "mujoco": "mujoco", "ale_py": "atari", "minatar": "minatar", "Box2D": "box2d",
    "box2d": "box2d", "gymnasium": "gymnasium",
}  # fmt: skip
_NAMESPACES = {"ALE": "ale_py", "Atari": "kerasrl.environments.atari_game", "MinAtar": "minatar.gym"}


def make(env_name: str, render_mode: str | None = None, **options: Any) -> Any:
    """Make an environment of gym, or of Gymnasium if gym does not know the name.

    Args:
        env_name: `Name-v0`; `module:Name-v0` imports the module, which registers the environment with gym or Gymnasium;
            `gymnasium:Name-v0` never looks in gym; `Atari/...`, `ALE/...`, `MinAtar/...`, and the names that Atari
            games had in gym, such as `PongDeterministic-v4`, need no module.
        render_mode: 'human' for a window, 'rgb_array' for pictures.
        options: Arguments for its class, or the function that makes it.

    Raises:
        UserError: It cannot be made; the message suggests the nearest names, or says what has to be installed, or what
            arguments there are.
    """
    arguments = list(options)
    with _explained(env_name):
        module, name = _with_version(env_name)
        # The checker repeats at every step what `check_spaces` checks once; gym 0.26's "out of date"
        # notice would tell people to leave the tutorial's environment.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if render_mode is not None:  # not every environment takes one
                options["render_mode"] = render_mode
            is_in_gym = name in gym.envs.registration.registry
            if not is_in_gym:
                with named.libraries_only():
                    atari.register(name)
            if module == "gymnasium" or (not is_in_gym and name in _gymnasium_names()):
                import gymnasium

                with _imports(gymnasium, name):
                    require_taken(_registered(gymnasium, name), env_name, arguments)
                    _check_drawing(gymnasium, name, render_mode)
                    options = _taken(gymnasium, name, options)
                    with quiet_stderr():  # the Arcade Learning Environment prints a greeting
                        env = with_plain_counts(gymnasium.make(name, disable_env_checker=True, **options))
            else:
                with _imports(gym, name):
                    require_taken(_registered(gym, name), env_name, arguments)
                    _check_drawing(gym, name, render_mode)
                    older = _is_older(name) or None  # None: as it was registered
                    options = options if older else _taken(gym, name, options)
                    env = gym.make(name, disable_env_checker=True, apply_api_compatibility=older, **options)
            if "render_mode" not in options:
                show_as(env, render_mode)
            return env


def another(source: Any, render_mode: str | None = None, arguments: Mapping[str, Any] = {}) -> Any:
    """Return a new environment: what a function makes, or a copy of an environment as it is now.

    An environment that cannot be copied, of which there may be only one, is itself returned, and a `Note` says so.

    Args:
        source: Environment; or a function or class that makes one, and is given `render_mode` if it takes that.
        render_mode: 'human' for a window, 'rgb_array' for pictures; None for how it draws by itself, but no window.
        arguments: What else the function or class is given.

    Raises:
        UserError: It cannot be made, or does not draw, or takes no such arguments.
    """
    if is_environment(source):
        require_made(arguments)
        require_able_to_draw(source, render_mode)
        try:
            return copied(source, render_mode)
        except Exception as error:
            what = f"the environment {name_of(source)} cannot be copied ({one_line(error)}), so it is played in itself"
            warnings.warn(what, Note, stacklevel=3)
            return source
    elif callable(source):
        require_taken(source, getattr(source, "__name__", "the function given as env"), arguments)
        takes_mode = render_mode is not None and "render_mode" in inspect.signature(source).parameters
        env = source(**arguments, **({"render_mode": render_mode} if takes_mode else {}))
    else:
        env = None
    if not is_environment(env):
        raise UserError(
            f"env must be an environment or a function that makes one (Config takes a name), not {source!r}"
        )
    require_able_to_draw(env, render_mode)
    show_as(env, render_mode)  # its maker may not ask how
    return env


def full_name(env_name: str) -> str:
    """Return an environment's name with its version; if that is left out, a `Note` says that the newest is taken.

    Raises:
        UserError: The environment's module cannot be imported.
    """
    with _explained(env_name):
        module, name = _with_version(env_name)
        return f"{module}:{name}" if module else name


def _with_version(env_name: str) -> tuple[str, str]:
    """Import what registers an environment; return its module, which may be "", and its name with the version."""
    module, _, name = env_name.rpartition(":")
    namespace = name.partition("/")[0] if "/" in name else ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if module and module != "gymnasium":
            named.module(module, env_name)
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
    """Turn whatever goes wrong in making an environment into a `UserError` that says what to do."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        told = refusal(env_name, error)
        raise told from told.__cause__


def refusal(env_name: str, error: Exception) -> UserError:
    """Return what to say about an environment that could not be made, given what was raised.

    Its `__cause__` is set only where there is no better explanation.
    """
    if isinstance(error, gym.error.UnregisteredEnv) or (
        type(error).__module__ == "gymnasium.error" and "NotFound" in type(error).__name__
    ):
        return UserError(f"no environment is called {env_name!r}; {_hint(env_name.rpartition(':')[2])}")
    missing = [extra for library, extra in _EXTRAS.items() if re.search(rf"\b{library}\b", str(error))]
    is_missing = isinstance(error, ImportError) or type(error).__name__ == "DependencyNotInstalled"
    cannot = f"environment {env_name!r} cannot be made"
    if "mujoco_py" in str(error):
        newer = f"{env_name.rpartition('-v')[0]}-v5"
        return UserError(f"{cannot}: it needs mujoco-py, which is at its end; {newer} is the same robot today")
    if is_missing and missing:
        return UserError(f"{cannot}: its libraries are not installed: {to_install(missing[0])}")
    if isinstance(error, AttributeError) and error.name == "unwrapped":
        return UserError(f"{cannot}: {type(error.obj).__name__} is not a gym.Env; derive the class from it")
    is_lacking = isinstance(error, TypeError) and "required" in str(error)  # an argument
    cure = f"; give it with {to_type('--env-arg NAME=VALUE', 'env_arg={...}')}" if is_lacking else ""
    told = UserError(f"{cannot}: {one_line(error)}{cure}")
    told.__cause__ = error
    return told


def with_plain_counts(env: Any) -> Any:
    """Return `env`, its spaces' sizes as plain ints: Gymnasium's are np.int64, which Keras's Dense refuses."""
    for space in (env.action_space, env.observation_space):
        if kind_of(space) == "Discrete":
            space.n = int(space.n)
    return env


def register_all(module: str) -> None:
    """Let a library register its environments with Gymnasium."""
    with named.libraries_only():
        library = importlib.import_module(module)
        import gymnasium

    if hasattr(library, "register_envs"):  # MinAtar, ours; ale_py does so when it is imported after Gymnasium
        library.register_envs()
    else:
        gymnasium.register_envs(library)


def _gymnasium_names() -> Any:
    try:
        with named.libraries_only():
            import gymnasium
    except ImportError:
        return {}
    return gymnasium.registry


def _hint(name: str) -> str:
    in_gymnasium = _gymnasium_names()
    known = {own.lower(): own for own in [*gym.envs.registration.registry, *in_gymnasium]}
    nearest = [known[match] for match in difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.7)]
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else "name one of your own as module:Name-v0"
    return hint if in_gymnasium else f"{hint} (for Gymnasium's: {to_install('gymnasium')})"


def _check_drawing(library: Any, name: str, render_mode: str | None) -> None:
    """Raise `UserError` if pictures are wanted of a class that draws none, or a window where there is no screen."""
    if render_mode is None:
        return
    kind = _registered(library, name)
    if inspect.isclass(kind):  # nothing is known yet about what a function makes
        require_drawing(kind, name)
    if render_mode == "human":
        require_display(kind if inspect.isclass(kind) else None)


def _taken(library: Any, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options without a render mode where the class that was registered takes none."""
    kind = _registered(library, name)
    if not inspect.isclass(kind) or takes(kind, "render_mode"):
        return options
    return {option: value for option, value in options.items() if option != "render_mode"}


def _registered(library: Any, name: str) -> Any:
    """Return the class or function with which an environment was registered, None if it was not."""
    registration = library.envs.registration
    kind = getattr(registration.registry.get(name), "entry_point", None)
    load = registration.load if library is gym else registration.load_env_creator
    return load(kind) if isinstance(kind, str) else kind


def _imports(library: Any, name: str) -> contextlib.AbstractContextManager[None]:
    """Return the context to make an environment in: if it is a library's, nothing of the current folder is imported.

    A library may lack what its environments need, and a stranger's file may name any of them.
    """
    kind = getattr(library.envs.registration.registry.get(name), "entry_point", None)
    is_own = not isinstance(kind, str) or not named.is_library(kind.partition(":")[0])
    return contextlib.nullcontext() if is_own else named.libraries_only()


def _is_older(name: str) -> bool:
    """Return whether gym has to translate: the environment is for older gym, where `step` returns four values."""
    kind = _registered(gym, name)
    if not inspect.isclass(kind) or takes_seed(kind):
        return False
    if not hasattr(kind, "seed"):
        # gym's translation calls it; older gym's own Env had it.
        kind.seed = lambda self, seed=None: None  # type: ignore[attr-defined]
    if not hasattr(kind, "observation_space"):
        kind.observation_space = None  # type: ignore[attr-defined]  # as above; one's own is set when it is made
    return True

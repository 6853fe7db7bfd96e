"""What `syntax` rewrites the calls of a script's environments to: they give what the script's lines expect."""

import sys
from types import CodeType
from typing import Any

from kerasrl.compat.step_api import has_info, to_five_values, to_four_values
from kerasrl.legacy.report import report

# The names under which rewritten lines find the functions below.
STEP, RESET = "__kerasrl_step__", "__kerasrl_reset__"
RENDER, LIMITED = "__kerasrl_render__", "__kerasrl_limited__"


def provide(names: dict[str, Any]) -> None:
    """Give a module the functions that its rewritten lines call."""
    names.update({STEP: step, RESET: reset, RENDER: render, LIMITED: limited})


def step(environment: Any, nb_values: int, *args: Any, **kwargs: Any) -> Any:
    """Return what `environment.step` returns as 4 or 5 values; anything else as it is."""
    result = environment.step(*args, **kwargs)
    if not isinstance(result, tuple) or len(result) == nb_values or not _is_environment(environment):
        return result
    if nb_values == 4 and len(result) == 5:
        _note("step() -> four values: done is terminated or truncated")
        return to_four_values(*result)
    if nb_values == 5 and len(result) == 4:
        _note("step() -> five values: done is terminated, or truncated if a time limit ended the episode")
        return to_five_values(*result)
    return result


def reset(environment: Any, nb_values: int, *args: Any, **kwargs: Any) -> Any:
    """Return what `environment.reset` returns as an observation (1) or observation and info (2)."""
    if not _is_environment(environment):
        return environment.reset(*args, **kwargs)
    if "return_info" in kwargs:  # of gym 0.22 to 0.25
        from kerasrl.environments.instances import takes

        if not takes(getattr(environment, "unwrapped", environment).reset, "return_info"):
            nb_values = 2 if kwargs.pop("return_info") else nb_values
    result = environment.reset(*args, **kwargs)
    if has_info(result) and nb_values == 1:
        _note("reset() -> the observation without its info")
        return result[0]
    if result is not None and not has_info(result) and nb_values == 2:
        _note("reset() -> the observation and an empty info")
        return result, {}
    return result


def render(environment: Any, *args: Any, **kwargs: Any) -> Any:
    """Draw an environment as until gym 0.25; anything else draws itself."""
    if not _is_environment(environment) or len(args) > 2 or not {"mode", "close"}.issuperset(kwargs):
        return environment.render(*args, **kwargs)
    from kerasrl.environments import rendering
    from kerasrl.environments.instances import is_of_a_library

    given = {**dict(zip(("mode", "close"), args, strict=False)), **kwargs}
    if isinstance(environment, super):  # in one of the script's own classes
        above: Any = environment
        if not is_of_a_library(above.render):
            return above.render(*args, **kwargs)
        if "env" not in vars(above.__self__):
            return rendering.draw(above.__self__, above.render, **given)
        environment = above.__self__.env
    elif not rendering.draws_itself(environment) and not given.get("close"):
        from kerasrl.legacy.gym.making import can_be_shown

        if getattr(getattr(environment, "unwrapped", environment), "render_mode", None) is None:
            _note("render() -> draws, although gym.make was not given a render_mode")
            if given.get("mode") in (None, "human"):
                can_be_shown()
    return rendering.render(environment, **given)


def limited(environment: Any) -> Any:
    """Return the wrapper that limits an environment's time, or the environment itself."""
    from kerasrl.environments.instances import wrapper_chain

    limits = [layer for layer in wrapper_chain(environment) if type(layer).__name__ == "TimeLimit"]
    if limits and limits[0] is not environment:
        _note("_max_episode_steps -> the wrapper TimeLimit's")
    return limits[0] if limits else environment


def _is_environment(thing: Any) -> bool:
    if isinstance(thing, super):
        thing = thing.__self__  # type: ignore[attr-defined]
    return hasattr(thing, "action_space") or hasattr(thing, "observation_space")


def _note(what: str) -> None:
    """Note what a line of the script gets; this must be cheap from the second time on."""
    frame = sys._getframe(2)
    key = (frame.f_code, frame.f_lineno, what)
    if key not in _noted:
        _noted.add(key)
        report.translated(what)


_noted: set[tuple[CodeType, int, str]] = set()

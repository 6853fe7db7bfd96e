"""What the calls of a script's environments are rewritten to by `syntax`: they give what the script's lines expect."""

import sys
from types import CodeType
from typing import Any

from kerasrl.legacy.notes import notes

# The names by which rewritten lines find the functions below.
STEP, RESET = "__kerasrl_step__", "__kerasrl_reset__"
RENDER, LIMITED = "__kerasrl_render__", "__kerasrl_limited__"


def provide(names: dict[str, Any]) -> None:
    """Put what the rewritten calls call into a module's names."""
    names[STEP], names[RESET], names[RENDER], names[LIMITED] = step, reset, render, limited


def step(environment: Any, nb_values: int, *args: Any, **kwargs: Any) -> Any:
    """Return what `environment.step` returns as 4 or 5 values; anything else as it is."""
    result = environment.step(*args, **kwargs)
    if not isinstance(result, tuple) or len(result) == nb_values or not _is_environment(environment):
        return result
    if nb_values == 4 and len(result) == 5:
        _tell("step() -> four values: done is terminated or truncated")
        observation, reward, terminated, truncated, info = result
        if hasattr(terminated, "shape") and terminated.shape:  # of several environments at once
            return observation, reward, terminated | truncated, info
        if truncated and isinstance(info, dict):
            info = {**info, "TimeLimit.truncated": not terminated}
        return observation, reward, bool(terminated or truncated), info
    if nb_values == 5 and len(result) == 4:
        _tell("step() -> five values: done is terminated, or truncated where a time limit says so")
        observation, reward, done, info = result
        truncated = bool(done) and isinstance(info, dict) and bool(info.get("TimeLimit.truncated", False))
        return observation, reward, bool(done) and not truncated, truncated, info
    return result


def reset(environment: Any, nb_values: int, *args: Any, **kwargs: Any) -> Any:
    """Return what `environment.reset` returns as an observation (1) or observation and info (2)."""
    if not _is_environment(environment):
        return environment.reset(*args, **kwargs)
    if "return_info" in kwargs:  # of gym 0.22 to 0.25
        from kerasrl.environments.rendering import takes

        if not takes(getattr(environment, "unwrapped", environment).reset, "return_info"):
            nb_values = 2 if kwargs.pop("return_info") else nb_values
    result = environment.reset(*args, **kwargs)
    if result is None:
        return result
    has_info = isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)
    if has_info and nb_values == 1:
        _tell("reset() -> the observation without its info")
        return result[0]
    if not has_info and nb_values == 2:
        _tell("reset() -> the observation and an empty info")
        return result, {}
    return result


def render(environment: Any, *args: Any, **kwargs: Any) -> Any:
    """Draw an environment as until gym 0.25; anything else as it does itself."""
    if not _is_environment(environment) or len(args) > 2 or not {"mode", "close"}.issuperset(kwargs):
        return environment.render(*args, **kwargs)
    from kerasrl.environments import rendering

    given = {**dict(zip(("mode", "close"), args, strict=False)), **kwargs}
    if isinstance(environment, super):  # in a class of the script's own
        if not rendering.is_of_a_library(environment.render):  # type: ignore[attr-defined]
            return environment.render(*args, **kwargs)  # type: ignore[attr-defined]
        own = environment.__self__  # type: ignore[attr-defined]
        if "env" not in vars(own):
            return rendering.draw(own, environment.render, **given)  # type: ignore[attr-defined]
        environment = own.env
    elif not rendering.draws_itself(environment) and not given.get("close"):
        from kerasrl.legacy.gym_making import can_be_shown

        if getattr(getattr(environment, "unwrapped", environment), "render_mode", None) is None:
            _tell("render() -> draws, although gym.make was given no render_mode")
            if given.get("mode") in (None, "human"):
                can_be_shown()
    return rendering.render(environment, **given)


def limited(environment: Any) -> Any:
    """Return the wrapper of an environment that limits its time, the environment itself if there is none."""
    from kerasrl.environments.layers import layers

    limits = [layer for layer in layers(environment) if type(layer).__name__ == "TimeLimit"]
    if limits and limits[0] is not environment:
        _tell("_max_episode_steps -> that of the wrapper TimeLimit")
    return limits[0] if limits else environment


def _is_environment(thing: Any) -> bool:
    if isinstance(thing, super):
        thing = thing.__self__  # type: ignore[attr-defined]
    return hasattr(thing, "action_space") or hasattr(thing, "observation_space")


def _tell(what: str) -> None:
    """Note what a line of the script gets; from its second time on this must cost nothing."""
    frame = sys._getframe(2)
    key = (frame.f_code, frame.f_lineno, what)
    if key not in _told:
        _told.add(key)
        notes.translated(what)


_told: set[tuple[CodeType, int, str]] = set()

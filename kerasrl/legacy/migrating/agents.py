"""Agents, their memories, fit and test: the defaults and arguments of the Keras-RL a script was written for."""

import re
from typing import Any

import libcst as cst

from kerasrl.legacy.migrating.name_types import AGENTS
from kerasrl.legacy.migrating.rewriting import Rule
from kerasrl.legacy.migrating.script import argument, below, changed, dotted, method, named, with_argument, without

# Arguments in the order of their positions, as far as old scripts go.
_DQN = ("model", "policy", "test_policy", "enable_double_dqn", "enable_dueling_network", "dueling_type")
_FIT = ("env", "nb_steps", "action_repetition", "callbacks", "verbose", "visualize", "nb_max_start_steps",
        "start_step_policy", "log_interval", "nb_max_episode_steps")  # fmt: skip
_TEST = ("env", "nb_episodes", "action_repetition", "callbacks", "visualize", "nb_max_episode_steps",
         "nb_max_start_steps", "start_step_policy", "verbose")  # fmt: skip
_MEMORIES = {
    "rl.memory.SequentialMemory", "rl.memory.Memory", "kerasrl.SequentialMemory", "rl.memory.EpisodeParameterMemory",
}  # fmt: skip
# Position of the memory among an agent's arguments, where it has one before the options.
_MEMORY = {"CEMAgent": 2, "DDPGAgent": 4}


class Agents(Rule):
    """Calls of agents' classes and of their methods."""

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite one of these calls."""
        name = self.script.name(original.func)
        if name in _MEMORIES:
            return self._memory(original, updated)
        if name == "rl.random.OrnsteinUhlenbeckProcess" and self.options.is_for_keras_rl_1:
            return self._noise(updated)
        if (agent := AGENTS.get(name or "") or self._base(original)) is not None:
            return self._agent(agent, original, updated)
        if self.is_of(original, "agent", "fit"):
            return self._without_masks(self._fit(original, updated))
        if self.is_of(original, "agent", "test"):
            return self._without_masks(self._shown(original, updated, _TEST, True))
        return updated

    def _base(self, call: Any) -> str | None:
        """Return the agent for a call of `super().__init__(...)` in a class derived from one, None for other calls."""
        if method(call) != "__init__":
            return None
        owner, above = self.script.enclosing(call, cst.ClassDef), call.func.value
        is_super = isinstance(above, cst.Call) and dotted(above.func) == "super"
        if owner is None or not is_super or (above.args and dotted(above.args[0].value) != owner.name.value):
            return None
        bases = (AGENTS.get(self.script.name(base.value) or "") for base in owner.bases)
        return next(filter(None, bases), None)

    # Agent and memory

    def _agent(self, agent: str, original: cst.Call, updated: cst.Call) -> cst.Call:
        double = argument(original, "enable_double_dqn", _DQN.index("enable_double_dqn"))
        if agent == "DQNAgent" and double is None and self.options.is_for_keras_rl_1:
            if any(arg.star for arg in original.args):
                self.script.note(original, "DQNAgent(**...): keras-rl 0.4.2 had enable_double_dqn=True; add it")
            else:
                updated = with_argument(updated, "enable_double_dqn", "True")
        clip = argument(updated, "delta_range")
        if clip is not None:
            value = clip.value
            upper = value.elements[1].value if isinstance(value, cst.Tuple | cst.List) else None
            upper = upper or cst.parse_expression(f"{self.script.code(value)}[1]")
            updated = changed(updated, clip, keyword=cst.Name("delta_clip"), value=upper)
        limits = argument(updated, "reward_range")
        if limits is not None:
            if "inf" not in self.script.code(limits.value):
                self.script.note(original, f"{agent}(reward_range=...) is not supported: clip rewards in a Processor")
            updated = without(updated, "reward_range")
        window = argument(updated, "window_length")
        memory = argument(updated, "memory")
        if window is not None and memory is not None:
            updated = without(updated, "window_length")
            if self._memory_call(original) is None:
                kind = "EpisodeParameterMemory" if agent == "CEMAgent" else "SequentialMemory"
                ours = self.script.imported("kerasrl", kind)
                old, length = self.script.code(memory.value), self.script.code(window.value)
                call = cst.parse_expression(f"{ours}(limit={old}.limit, window_length={length})")
                updated = changed(updated, memory, value=call)
        return updated

    def _memory_call(self, agent: cst.Call) -> cst.Call | None:
        """Return the call that makes the memory of keras-rl 0.1's DQNAgent(window_length=...), where that is plain."""
        made, window = self._made(agent), argument(agent, "window_length")
        if made is None or window is None:
            return None
        if isinstance(window.value, cst.Name) and not window.value.value.isupper():
            return None  # may be something else where the memory is made
        return None if argument(made, "window_length", 1) else made

    def _made(self, agent: cst.Call) -> cst.Call | None:
        """Return the only call that makes an agent's memory, None if that is not plain."""
        memory = argument(agent, "memory", _MEMORY.get(AGENTS.get(self.script.name(agent.func) or "") or ""))
        if memory is None or not isinstance(memory.value, cst.Name | cst.Call):
            return None
        made = [memory.value] if isinstance(memory.value, cst.Call) else self.script.assigned(memory.value.value)
        calls = [value for value in made if isinstance(value, cst.Call)]
        return calls[0] if len(calls) == 1 and self.script.name(calls[0].func) in _MEMORIES else None

    def _memory(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        """Give keras-rl 0.1's Memory(limit) today's name, and the agent's window."""
        if self.script.name(original.func) == "rl.memory.Memory":
            if argument(original, "limit") is None:
                return updated
            updated = updated.with_changes(func=cst.Name(self.script.imported("kerasrl", "SequentialMemory")))
        limit = argument(updated, "limit", 0)
        if limit is not None:
            updated = changed(updated, limit, value=self.script.whole(limit.value))
        for agent in self.script.all(cst.Call):
            kind = AGENTS.get(self.script.name(agent.func) or "")
            if kind is None or self._made(agent) is not original:
                continue
            if kind == "CEMAgent" and "Sequential" in (self.script.name(original.func) or ""):  # a mistake of some
                updated = updated.with_changes(func=cst.Name(self.script.imported("kerasrl", "EpisodeParameterMemory")))
            if self._memory_call(agent) is original:
                window = argument(agent, "window_length")
                assert window is not None
                return with_argument(updated, "window_length", window.value)
        return updated

    def _noise(self, updated: cst.Call) -> cst.Call:
        """Let an episode's noise begin where keras-rl 0.4.2's did: at `x0`, its fifth argument, or at 0."""
        start = argument(updated, "x0", 4)
        if start is None:
            return with_argument(updated, "x0", "0.0")
        value = cst.parse_expression("0.0") if self.script.code(start.value) == "None" else start.value
        args = [named(arg.with_changes(value=value), "x0") if arg is start else arg for arg in updated.args]
        for at in range(5, len(args)):
            if args[at].keyword is None:
                args[at] = named(args[at], ("size", "sigma_min", "n_steps_annealing")[at - 5])
        return updated.with_changes(args=args)

    # fit and test

    def _fit(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        updated = self._shown(original, updated, _FIT, False)
        steps = argument(updated, "nb_steps", 1)
        if steps is not None:
            updated = changed(updated, steps, value=self.script.whole(steps.value))
        return updated

    def _without_masks(self, updated: cst.Call) -> cst.Call:
        """Do without action masks, of which Keras-RL knew nothing, if the script names what gives them."""
        gives_masks = re.search(rb"\bTaxi-v|\baction_masks?\b", self.script.source)
        return with_argument(updated, "action_masks", "False") if gives_masks else updated

    def _shown(self, original: cst.Call, updated: cst.Call, names: tuple[str, ...], default: bool) -> cst.Call:
        """Let `visualize` depend on whether there is a screen; rename nb_max_random_start_steps."""
        start = argument(updated, "nb_max_random_start_steps")
        if start is not None:
            updated = changed(updated, start, keyword=cst.Name("nb_max_start_steps"))
        if any(arg.star for arg in original.args):
            self.script.note(original, "arguments given as * or **: look at visualize")
            default = False
        visualize = argument(updated, "visualize", names.index("visualize"))
        text = self.script.code(visualize.value) if visualize is not None else str(default)
        if text in ("False", "0", "None"):
            return updated
        has_display = f"{self.script.imported('kerasrl', 'environments')}.has_display()"
        if visualize is None:
            return with_argument(updated, "visualize", has_display)
        if text not in ("True", "1"):
            is_plain = isinstance(visualize.value, cst.Name | cst.Attribute)
            has_display = f"{text if is_plain else f'({text})'} and {has_display}"
        return changed(updated, visualize, value=cst.parse_expression(has_display))

    # What is caught around load_weights

    def on_excepthandler(self, original: cst.ExceptHandler, updated: Any) -> Any:
        """Let `except OSError` around load_weights also catch what kerasrl raises for a missing file."""
        block, caught = self.script.parents.get(original), updated.type
        names = [e.value for e in caught.elements] if isinstance(caught, cst.Tuple) else [caught]
        texts = [dotted(name) for name in names]
        if not isinstance(block, cst.Try) or {"OSError", "IOError", "FileNotFoundError"}.isdisjoint(texts):
            return updated
        if not any(
            self.is_of(node, "agent", "load_weights") or self.is_of(node, "model", "load_weights")
            for node in below(block.body)
        ):
            return updated
        error = self.script.imported("kerasrl", "WeightsError")
        return updated.with_changes(type=cst.parse_expression(f"({', '.join([*texts, error])})"))

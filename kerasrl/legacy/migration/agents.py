"""DQNAgent, its memory, fit and test: the defaults and arguments of the Keras-RL a script was written for."""

from typing import Any

import libcst as cst

from kerasrl.legacy.migration import seeds
from kerasrl.legacy.migration.kinds import AGENTS
from kerasrl.legacy.migration.rewriting import Room
from kerasrl.legacy.migration.script import argument, changed, dotted, with_argument, without

# Arguments in the order of their positions, as far as old scripts go.
_DQN = ("model", "policy", "test_policy", "enable_double_dqn", "enable_dueling_network", "dueling_type")
_FIT = ("env", "nb_steps", "action_repetition", "callbacks", "verbose", "visualize", "nb_max_start_steps",
        "start_step_policy", "log_interval", "nb_max_episode_steps")  # fmt: skip
_TEST = ("env", "nb_episodes", "action_repetition", "callbacks", "visualize", "nb_max_episode_steps",
         "nb_max_start_steps", "start_step_policy", "verbose")  # fmt: skip
_MEMORIES = {"rl.memory.SequentialMemory", "rl.memory.Memory", "kerasrl.SequentialMemory"}


class Agents(Room):
    """Calls of DQNAgent and of its methods."""

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite one of them."""
        name = self.script.name(original.func)
        if name in AGENTS or name in ("keras_rl2.agents.DQNAgent", "keras_rl2.agents.dqn.DQNAgent"):
            return self._agent(original, updated)
        if name in _MEMORIES:
            return self._memory(original, updated)
        if isinstance(original.func, cst.Attribute):
            if original.func.attr.value == "__init__" and self._is_of_base(original):
                return self._agent(original, updated)
            kind = self.kinds.of(self.module, original.func.value)
            if kind is not None and kind.what == "agent":
                method = original.func.attr.value
                if method == "fit":
                    return self._fit(original, updated)
                if method == "test":
                    return self._shown(original, updated, _TEST, True)
        return updated

    def _is_of_base(self, call: cst.Call) -> bool:
        """Return whether a call is `super().__init__(...)` in a class derived from DQNAgent."""
        owner = self.script.enclosing(call, cst.ClassDef)
        assert isinstance(call.func, cst.Attribute)
        above = call.func.value
        is_super = isinstance(above, cst.Call) and dotted(above.func) == "super"
        if owner is None or not is_super or not any(self.script.name(base.value) in AGENTS for base in owner.bases):
            return False
        return not above.args or dotted(above.args[0].value) == owner.name.value  # type: ignore[attr-defined]

    # DQNAgent and memory

    def _agent(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        has_stars = any(arg.star for arg in original.args)
        double = argument(original, "enable_double_dqn", _DQN.index("enable_double_dqn"))
        if double is None and self.options.is_for_keras_rl_1:
            if has_stars:
                self.script.note(original, "DQNAgent(**...): keras-rl 0.4.2 had enable_double_dqn=True; add it")
            else:
                updated = with_argument(updated, "enable_double_dqn", "True")
        clip = argument(updated, "delta_range")
        if clip is not None:
            value = clip.value
            upper = value.elements[1].value if isinstance(value, cst.Tuple | cst.List) else None
            new = upper or cst.Subscript(value, [cst.SubscriptElement(cst.Index(cst.Integer("1")))])
            updated = changed(updated, clip, keyword=cst.Name("delta_clip"), value=new)
        limits = argument(updated, "reward_range")
        if limits is not None:
            if "inf" not in self.script.code(limits.value):
                self.script.note(original, "DQNAgent(reward_range=...) is missing: clip rewards in a Processor")
            updated = without(updated, "reward_range")
        window = argument(updated, "window_length")
        memory = argument(updated, "memory")
        if window is not None and memory is not None:
            updated = without(updated, "window_length")
            if self._memory_call(original) is None:
                ours = self.script.today("kerasrl", "SequentialMemory")
                limit = cst.Attribute(memory.value, cst.Name("limit"))
                call = cst.parse_expression(f"{ours}()")
                assert isinstance(call, cst.Call)
                call = with_argument(with_argument(call, "limit", limit), "window_length", window.value)
                updated = changed(updated, memory, value=call)
        return updated

    def _memory_call(self, agent: cst.Call) -> cst.Call | None:
        """Return the call that makes the memory of keras-rl 0.1's DQNAgent(window_length=...), where it is plain."""
        memory, window = argument(agent, "memory"), argument(agent, "window_length")
        if memory is None or window is None or not isinstance(memory.value, cst.Name | cst.Call):
            return None
        if isinstance(window.value, cst.Name) and not window.value.value.isupper():
            return None  # may be something else where the memory is made
        if isinstance(memory.value, cst.Call):
            calls = [memory.value]
        else:
            calls = [
                node.value
                for node in self.script.all(cst.Assign)
                if dotted(node.targets[0].target) == memory.value.value and isinstance(node.value, cst.Call)
            ]
        if len(calls) != 1 or self.script.name(calls[0].func) not in _MEMORIES:
            return None
        return None if argument(calls[0], "window_length", 1) else calls[0]

    def _memory(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        """Name keras-rl 0.1's Memory(limit) as it is today, and give it the agent's window."""
        if self.script.name(original.func) == "rl.memory.Memory":
            if argument(original, "limit") is None:
                return updated
            updated = updated.with_changes(func=cst.Name(self.script.today("kerasrl", "SequentialMemory")))
        limit = argument(updated, "limit", 0)
        if limit is not None:
            updated = changed(updated, limit, value=self.script.whole(limit.value))
        for agent in self.script.all(cst.Call):
            if self.script.name(agent.func) in AGENTS and self._memory_call(agent) is original:
                window = argument(agent, "window_length")
                assert window is not None
                return with_argument(updated, "window_length", window.value)
        return updated

    # fit and test

    def _fit(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        updated = self._shown(original, updated, _FIT, False)
        steps = argument(updated, "nb_steps", 1)
        if steps is not None:
            updated = changed(updated, steps, value=self.script.whole(steps.value))
        if argument(original, "seed") is None:
            seed = seeds.last(self, original)
            if seed is not None:
                updated = with_argument(updated, "seed", seed)
        return updated

    def _shown(self, original: cst.Call, updated: cst.Call, names: tuple[str, ...], default: bool) -> cst.Call:
        """Let `visualize` depend on there being a screen; rename nb_max_random_start_steps."""
        start = argument(updated, "nb_max_random_start_steps")
        if start is not None:
            updated = changed(updated, start, keyword=cst.Name("nb_max_start_steps"))
        if any(arg.star for arg in original.args):
            self.script.note(original, "arguments given as * or **: look at visualize, and at the seed")
        visualize = argument(updated, "visualize", names.index("visualize"))
        if visualize is None:
            if default and not any(arg.star for arg in original.args):
                return with_argument(updated, "visualize", self._has_display())
            return updated
        text = self.script.code(visualize.value)
        if text in ("False", "0", "None"):
            return updated
        if text in ("True", "1"):
            return changed(updated, visualize, value=cst.parse_expression(self._has_display()))
        both = cst.parse_expression(f"({text}) and {self._has_display()}")
        if isinstance(visualize.value, cst.Name | cst.Attribute):
            both = cst.parse_expression(f"{text} and {self._has_display()}")
        return changed(updated, visualize, value=both)

    def _has_display(self) -> str:
        return f"{self.script.today('kerasrl', 'environments')}.has_display()"

    # What is caught around load_weights

    def on_excepthandler(self, original: cst.ExceptHandler, updated: Any) -> Any:
        """Let `except OSError` around load_weights catch what kerasrl raises for a missing file, too."""
        if original.type is None or not isinstance(updated.type, cst.Name):
            return updated
        if updated.type.value not in ("OSError", "IOError", "FileNotFoundError"):
            return updated
        block = self.script.parents.get(original)
        is_loading = isinstance(block, cst.Try) and any(
            isinstance(node, cst.Call)
            and isinstance(node.func, cst.Attribute)
            and node.func.attr.value == "load_weights"
            and (kind := self.kinds.of(self.module, node.func.value)) is not None
            and kind.what in ("agent", "model")
            for node in _below(block.body)
        )
        if not is_loading:
            return updated
        error = self.script.today("kerasrl", "WeightsError")
        return updated.with_changes(type=cst.parse_expression(f"({updated.type.value}, {error})"))


def _below(node: cst.CSTNode) -> list[cst.CSTNode]:
    found = [node]
    for other in found:
        found.extend(other.children)
    return found

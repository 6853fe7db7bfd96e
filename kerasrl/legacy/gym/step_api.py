"""What Gymnasium's wrappers had until 0.29, given back.

Imported once Gymnasium has been imported.
"""

import importlib
from typing import Any

from kerasrl.legacy.report import report

gymnasium: Any = importlib.import_module("gymnasium")
conversions: Any = importlib.import_module("gymnasium.utils.step_api_compatibility")

__all__ = ["StepAPICompatibility"]


class StepAPICompatibility(gymnasium.Wrapper):
    """Let `step` return five values or, with `output_truncation_bool=False`, four."""

    def __init__(self, env: Any, output_truncation_bool: bool = True) -> None:
        report.translated("StepAPICompatibility -> as it was until Gymnasium 0.29")
        super().__init__(env)
        self.output_truncation_bool = output_truncation_bool

    def step(self, action: Any) -> Any:
        """Return what the wrapped environment's `step` returns, as five values or as four."""
        result = self.env.step(action)
        if self.output_truncation_bool:
            return conversions.convert_to_terminated_truncated_step_api(result)
        return conversions.convert_to_done_step_api(result)

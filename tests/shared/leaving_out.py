"""What takes long and is left out where no test looks at it: XLA, curves, the process that reads a weights file.

XLA takes a second or more for each agent, a curve half a second, that process a quarter.
"""

from kerasrl.learning import CompiledCalls
from kerasrl.storage import hdf5, hdf5_child
from kerasrl.tools.plot import drawing


def leave_out(wanted):
    """Have them only while `wanted`, a set, holds `xla`, `curve`, `apart`."""
    make, figure_of, answer_apart = CompiledCalls.__init__, drawing._figure, hdf5._answer

    def make_as_wanted(self, jit_compile="auto"):
        make(self, False if jit_compile == "auto" and "xla" not in wanted else jit_compile)

    def figure_as_wanted(runs):
        from matplotlib.figure import Figure

        return figure_of(runs) if "curve" in wanted else Figure((1, 1))

    def answer_as_wanted(name, content):
        return answer_apart(name, content) if "apart" in wanted else hdf5_child.answer(content)

    CompiledCalls.__init__, drawing._figure, hdf5._answer = make_as_wanted, figure_as_wanted, answer_as_wanted

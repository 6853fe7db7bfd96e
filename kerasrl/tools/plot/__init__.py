"""Learning curves: pictures of logs and of the settings beside them."""

from kerasrl.tools.plot.drawing import plot as plot

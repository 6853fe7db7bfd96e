"""One training many times: with many seeds, with many settings, on many machines.

Built on Ray's plain tasks and Optuna's ask and tell, not on Ray Tune. Ray restarts a task that loses its machine; a
task runs in its worker's main thread and leaves TensorFlow imported for the next; and a study lives in Optuna's own
SQLite file, so continuing means unpickling nothing. Ray Tune pickles its searcher's state, runs functions in a thread,
and would want a folder and a table of its own in addition to this project's.
"""

from kerasrl.tools.tune.command import run as run
from kerasrl.tools.tune.command import tune as tune

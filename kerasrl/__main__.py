"""Run one of this project's commands, or an old Keras-RL script unchanged.

python -m kerasrl train --preset acrobot
python -m kerasrl SCRIPT.py [its own arguments]
"""

import os
import sys

from kerasrl import signals
from kerasrl.installation import COMMANDS

if __name__ == "__main__":
    # Nothing in the current folder may hide a library; modules named there, or beside a script, are found all the same.
    if sys.path[:1] in ([os.getcwd()], [""]):  # noqa: PTH109  # as Python writes it
        del sys.path[0]
    if sys.argv[1:2] and sys.argv[1] in COMMANDS:
        signals.leave_quietly()  # the imports below take a moment
        from kerasrl.cli.door import run

        sys.exit(run(sys.argv[1], sys.argv[2:]))
    from kerasrl.legacy.running.runner import main  # it translates whatever is imported from then on

    sys.exit(main())

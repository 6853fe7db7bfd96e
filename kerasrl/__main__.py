"""Run an old Keras-RL script as it is, or one of the recipe's commands.

python -m kerasrl SCRIPT.py [its own arguments]
python -m kerasrl train --preset acrobot
"""

import sys

from kerasrl import commands

if __name__ == "__main__" and sys.argv[1:2] and sys.argv[1] in commands.COMMANDS:
    commands.run(sys.argv[1], sys.argv[2:])
elif __name__ == "__main__":
    from kerasrl.legacy.runner import main  # here: it translates what is imported from then on

    sys.exit(main())

"""Run an old Keras-RL script as it is: python -m kerasrl SCRIPT [its own arguments]."""

import sys

from kerasrl.legacy.runner import main

if __name__ == "__main__":
    sys.exit(main())

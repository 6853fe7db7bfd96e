"""Old Keras-RL scripts, run as they were written: the names and calls of their time are translated to today's.

Importing this package translates the imports that follow. `keras`, `tensorflow`, `gym`, `keras_rl` and `others` hold
what is translated for each library; `running` is `python -m kerasrl SCRIPT`, `migrating` its `--migrate`. All of them
use `script` and `report`: what is known about the script, and what is printed about it. None of this is active in
train.py, test.py or after a plain `import kerasrl`.
"""

from kerasrl.legacy.running.import_hooks import activate, follow_main

activate()
follow_main()

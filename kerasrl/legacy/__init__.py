"""Old Keras-RL scripts, run as they were written: the names and calls of their time are translated to today's.

Importing this package switches the translation on, for the imports that follow. One module for each library whose
names are translated: `keras`, `tensorflow`, `gym`, `keras_rl`, `others`. `runner` is `python -m kerasrl SCRIPT`.
Nothing here is active in train.py, test.py or a plain `import kerasrl`.
"""

from kerasrl.legacy.hooks import activate, follow_main

activate()
follow_main()

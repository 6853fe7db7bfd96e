"""Old scripts rewritten for today, their comments and layout kept: `python -m kerasrl --migrate SCRIPT`.

`script` is what is known about a source file, `kinds` which of its names are environments and agents, and `rewriting`
lets the rooms change it: `imports`, `agents`, `seeds`, `environments`, `layers`, `others`. A room decides what the
translation of the same name does while a script runs, from the same tables, so that both give the same weights.
"""

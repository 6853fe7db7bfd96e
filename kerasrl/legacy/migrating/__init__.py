"""Old scripts rewritten for today, with their comments and layout: `python -m kerasrl --migrate SCRIPT`.

`command` prints or writes the result. `script` knows a source file, `name_types` which of its names are environments
and agents, and `rewriting` applies the rules to it: `imports`, `agents`, `seeds`, `environments`, `layers`, `loops`,
`backend`, `saving`, `dropped_names`. A rule does what is done while an old script runs, from the same tables, so that
both give the same weights.
"""

"""How an old script runs: import hooks, a rewritten syntax tree where its lines decide, and the command line."""

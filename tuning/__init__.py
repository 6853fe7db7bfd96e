"""One training many times: with many seeds, with many settings, on many machines.

Built on Ray's plain tasks and Optuna's ask and tell, not on Ray Tune: a task that loses its machine is started again by
Ray itself, runs in its worker's main thread and leaves TensorFlow imported for the next one, and a study lives in
Optuna's own SQLite file, so that nothing is unpickled to go on. Ray Tune keeps its searcher's state as a pickle, runs
functions in a thread, and would want a folder and a table of its own beside this project's.
"""

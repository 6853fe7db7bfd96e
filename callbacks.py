"""The callbacks of the tutorial: save the weights every 5,000 steps, write the log every 100 episodes."""

from pathlib import Path

from kerasrl import Config, FileLogger, ModelIntervalCheckpoint, RunFiles

# isort: split

from rl.callbacks import Callback


def build_callbacks(
    env_name: str,
    checkpoint_dir: str = Config.checkpoint_dir,
    log_dir: str = Config.log_dir,
    checkpoint_interval: int = Config.checkpoint_interval,
    log_interval: int = Config.log_interval,
    agent: str = Config.agent,
) -> list[Callback]:
    """Return the callbacks for `fit`; the intervals count steps for weights, episodes for the log."""
    files = RunFiles(env_name, Path(checkpoint_dir), Path(log_dir), agent)
    return [
        ModelIntervalCheckpoint(files.checkpoints, interval=checkpoint_interval),
        FileLogger(str(files.log), interval=log_interval),
    ]

"""What happens around training: weights and a log are saved."""

from pathlib import Path

from kerasrl.callbacks import FileLogger, ModelIntervalCheckpoint

# isort: split

from rl.callbacks import Callback

from config import Config


def build_callbacks(
    env_name: str,
    checkpoint_dir: str = Config.checkpoint_dir,
    log_dir: str = Config.log_dir,
    checkpoint_interval: int = Config.checkpoint_interval,
    log_interval: int = Config.log_interval,
) -> list[Callback]:
    """Return the callbacks for `fit`: weights every so many steps, a log every so many episodes."""
    # Braces in the folder's name are no placeholders.
    folder = checkpoint_dir.replace("{", "{{").replace("}", "}}")
    checkpoint_weights_filename = str(Path(folder) / ("dqn_" + env_name + "_weights_{step}.h5f"))
    log_filename = str(Path(log_dir) / f"dqn_{env_name}_log.json")
    callbacks: list[Callback] = [ModelIntervalCheckpoint(checkpoint_weights_filename, interval=checkpoint_interval)]
    callbacks += [FileLogger(log_filename, interval=log_interval)]
    return callbacks

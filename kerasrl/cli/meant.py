"""What somebody meant who typed a word that a command does not know: an option, by its meaning, or its value alone."""

import difflib
import os
from collections.abc import Collection, Sequence

from kerasrl.config.files import presets

# What other programs and libraries call an option, and what it is called here; the first that a command has counts.
_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("lr", "alpha", "step-size"), ("learning-rate", "critic-learning-rate")),
    **dict.fromkeys(("actor-lr", "lr-actor", "pi-lr"), ("actor-learning-rate",)),
    **dict.fromkeys(("critic-lr", "lr-critic", "q-lr"), ("critic-learning-rate",)),
    **dict.fromkeys(
        ("epochs", "nb-epochs", "num-epochs", "iterations", "steps", "timesteps", "total-timesteps", "n-timesteps",
         "num-steps", "max-steps", "frames", "num-frames"),
        ("nb-steps",),
    ),
    **dict.fromkeys(("episodes", "nb-episodes", "num-episodes", "n-episodes"), ("episodes", "nb-steps")),
    **dict.fromkeys(("batch", "minibatch-size", "bs"), ("batch-size",)),
    **dict.fromkeys(("buffer-size", "replay-size", "memory-size", "capacity", "limit"), ("memory-limit",)),
    **dict.fromkeys(("discount", "discount-factor"), ("gamma",)),
    **dict.fromkeys(("epsilon", "eps", "exploration", "exploration-rate", "start-e"), ("eps-max",)),
    **dict.fromkeys(("end-e", "exploration-final-eps", "epsilon-end", "eps-end"), ("eps-min",)),
    **dict.fromkeys(("epsilon-decay", "eps-decay", "exploration-fraction"), ("eps-nb-steps",)),
    **dict.fromkeys(("tau", "polyak", "target-update", "target-network-frequency"), ("target-model-update",)),
    **dict.fromkeys(("learning-starts", "warmup", "start-steps"), ("nb-steps-warmup", "nb-steps-warmup-critic")),
    **dict.fromkeys(("train-freq", "train-frequency", "update-every"), ("train-interval",)),
    **dict.fromkeys(("layers", "hidden", "hidden-sizes", "net-arch", "units", "nodes"), ("hidden-layers",)),
    **dict.fromkeys(("frame-skip", "frameskip", "action-repeat"), ("action-repetition",)),
    **dict.fromkeys(("frame-stack", "stack", "n-stack"), ("window-length",)),
    **dict.fromkeys(("double", "double-dqn", "ddqn"), ("enable-double-dqn",)),
    **dict.fromkeys(("dueling", "dueling-dqn", "duel"), ("enable-dueling-network",)),
    **dict.fromkeys(("prioritized", "per", "prioritised", "priority"), ("memory prioritized",)),
    **dict.fromkeys(("n-steps", "multi-step", "nstep"), ("n-step",)),
    **dict.fromkeys(("gpu", "cuda", "use-gpu"), ("device gpu",)),
    **dict.fromkeys(("cpu", "no-cuda", "no-gpu"), ("device cpu",)),
    **dict.fromkeys(("workers", "n-jobs", "num-workers", "parallel", "processes"), ("jobs", "threads")),
    **dict.fromkeys(("time-limit", "max-episode-steps", "max-ep-len", "episode-length"), ("nb-max-episode-steps",)),
    **dict.fromkeys(("timeout", "max-seconds", "walltime"), ("max-time",)),
    **dict.fromkeys(("env-name", "env-id", "environment", "gym-env", "game", "task"), ("env",)),
    **dict.fromkeys(("env-kwargs", "env-args"), ("env-arg",)),
    **dict.fromkeys(("algo", "algorithm", "model-type", "method"), ("agent",)),
    **dict.fromkeys(("weights", "load", "load-weights", "model", "checkpoint", "pretrained", "file"),
                    ("weights", "start-from")),
    **dict.fromkeys(("continue", "restart", "restore"), ("resume",)),
    **dict.fromkeys(("force", "replace"), ("overwrite",)),
    **dict.fromkeys(("render", "show", "display", "watch", "gui"), ("visualize",)),
    **dict.fromkeys(("video", "film", "gif", "movie", "save-video", "capture-video"), ("record", "record-every")),
    **dict.fromkeys(("logdir", "log-folder", "tensorboard-log"), ("log-dir",)),
    **dict.fromkeys(("save-dir", "model-dir", "output-dir", "outdir"), ("checkpoint-dir", "folder")),
    **dict.fromkeys(("output", "save", "o"), ("out", "to", "checkpoint-dir")),
    **dict.fromkeys(("normalize", "normalise", "norm-obs", "vec-normalize"), ("normalize-observations",)),
    **dict.fromkeys(("eval-freq", "eval-every", "evaluation-interval"), ("eval-interval",)),
    **dict.fromkeys(("n-eval-episodes", "eval-runs"), ("eval-episodes",)),
    **dict.fromkeys(("threshold", "target-reward", "stop-reward", "goal"), ("threshold", "stop-at")),
    **dict.fromkeys(("quiet", "silent", "q"), ("verbose 0",)),
    **dict.fromkeys(("random-seed", "random-state"), ("seed",)),
    **dict.fromkeys(("n-trials", "num-samples"), ("trials",)),
}  # fmt: skip


def option_meant(word: str, options: Collection[str]) -> str:
    """Return the option of `options`, such as --seed, that is called `word` elsewhere, or looks like it; "" if none."""
    asked = word.partition("=")[0]
    for other in _OTHER_NAMES.get(asked.lstrip("-").replace("_", "-").lower(), ()):
        if f"--{other.partition(' ')[0]}" in options:
            return f"--{other}"
    return next(iter(difflib.get_close_matches(asked, options, n=1)), "")


def words_meant(word: str, options: Collection[str]) -> str:
    """Return an option and a word that was typed without it, if what it is can be told; "" if not."""
    is_weights = word.endswith((".h5", ".h5f", ".hdf5"))
    kinds = [
        ("--config", word.endswith(".toml")),
        ("--preset", word in presets()),
        ("--to", word.endswith((".onnx", ".tflite", ".keras"))),
        ("--weights", is_weights or os.path.exists(word)),
        ("--start-from", is_weights),
        ("--env", True),
    ]
    return next((f"{option} {word}" for option, fits in kinds if fits and option in options), "")


def cure(unknown: Sequence[str], options: Collection[str]) -> tuple[list[str], str]:
    """Return which of these words a command does not know, without the values of options, and what to do instead."""
    wrong, meant = [], []
    for before, word in zip(["", *unknown], unknown, strict=False):
        if word.startswith("-"):
            wrong.append(word)
            meant.append(option_meant(word, options))
        elif not before.startswith("-") or "=" in before:
            wrong.append(word)
            meant.append(words_meant(word, options))
    known = list(dict.fromkeys(filter(None, meant)))
    return wrong, f"did you mean {' and '.join(known)}?" if known else "see --help"

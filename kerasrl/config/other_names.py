"""What other programs and libraries call a setting or an option, and what it is called here."""

from collections.abc import Collection

# With hyphens; the first name that a command or an agent has counts.
OTHER_NAMES: dict[str, tuple[str, ...]] = {
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
    **dict.fromkeys(("n-envs", "num-envs"), ("jobs",)),
    **dict.fromkeys(("wandb", "track", "wandb-project-name", "mlflow"), ("callback",)),
}  # fmt: skip


def called_here(word: str, known: Collection[str]) -> str | None:
    """Return which of the `known` names, with a value after it if it needs one, is called `word` elsewhere.

    It is "" if that is something which is not known here, None if nobody calls anything so.
    """
    names = OTHER_NAMES.get(word.replace("_", "-").lower())
    if names is None:
        return None
    return next((name for name in names if name.partition(" ")[0] in known), "")

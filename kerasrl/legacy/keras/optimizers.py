"""What Keras 1's and 2's optimizers took: `lr`, `decay`, both clips at once."""

import functools
import inspect
import numbers
from typing import Any

from kerasrl.legacy.keras.arguments import Arguments, let_take, plain_number, short
from kerasrl.legacy.report import report
from kerasrl.legacy.script import script

OPTIMIZERS = ("SGD", "RMSprop", "Adam", "AdamW", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl")
# Default learning rates of plain Keras 1 and 2 that differ today.
LEARNING_RATES: dict[str, float] = {"Adagrad": 0.01, "Adadelta": 1.0, "Adamax": 0.002, "Nadam": 0.002}
# Order of the arguments of plain Keras's optimizers, where it differs today.
ORDER: dict[str, tuple[str, ...]] = {
    "SGD": ("learning_rate", "momentum", "decay", "nesterov"),
    "RMSprop": ("learning_rate", "rho", "epsilon", "decay"),
    "Adam": ("learning_rate", "beta_1", "beta_2", "epsilon", "decay", "amsgrad"),
}
# Arguments that no longer mean anything.
DROPPED = ("schedule_decay", "jit_compile", "is_legacy_optimizer", "use_locking")


def translate() -> None:
    """Let optimizers be made as they were; today's calls work as before."""
    import keras
    from keras.src.optimizers.base_optimizer import BaseOptimizer

    for kind in OPTIMIZERS:
        let_take(getattr(keras.optimizers, kind), "__init__", functools.partial(_arguments, kind))
    optimizer: Any = keras.optimizers.Optimizer
    optimizer.lr = property(lambda self: self.learning_rate, lambda self, rate: setattr(self, "learning_rate", rate))
    _let_clip_twice(BaseOptimizer)


def _arguments(kind: str, self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    import keras

    kwargs = {name: plain_number(value) for name, value in kwargs.items()}
    if len(args) > 2 and kind in ORDER and script.is_for_plain_keras():
        kwargs = {**dict(zip(ORDER[kind], args, strict=False)), **kwargs}
        args = ()
    given = ", ".join(f"{name}={short(kwargs[name])}" for name in ("lr", "decay") if kwargs.get(name))
    for name in DROPPED:
        if name in kwargs:
            report.translated(f"{kind}({name}={short(kwargs.pop(name))}) -> left out")
    if "lr" in kwargs:
        kwargs["learning_rate"] = kwargs.pop("lr")
    if "epsilon" in kwargs and kwargs["epsilon"] is None:
        del kwargs["epsilon"]
    rate = args[0] if args else kwargs.get("learning_rate")
    if rate is None and script.is_for_plain_keras() and kind in LEARNING_RATES:
        rate = LEARNING_RATES[kind]
        report.translated(f"{kind}() -> learning_rate={rate}, plain Keras's default")
    rate = float(plain_number(rate)) if isinstance(rate, numbers.Real) else rate
    decay = kwargs.pop("decay", None)
    if decay:
        if rate is None:
            rate = inspect.signature(getattr(keras.optimizers, kind)).parameters["learning_rate"].default
        rate = keras.optimizers.schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=decay)
        report.translated(f"{kind}({given}) -> learning_rate=InverseTimeDecay(decay_steps=1, decay_rate={decay})")
    elif given:
        report.translated(f"{kind}({given}) -> learning_rate")
    if kwargs.get("clipnorm") and script.is_for_plain_keras():  # whose norm was that of all gradients together
        report.translated(f"{kind}(clipnorm={short(kwargs['clipnorm'])}) -> global_clipnorm")
        kwargs["global_clipnorm"] = kwargs.pop("clipnorm")
    if rate is not None:
        args, kwargs = args[1:], {**kwargs, "learning_rate": rate}
        if args:
            return (kwargs.pop("learning_rate"), *args), kwargs
    return args, kwargs


def _let_clip_twice(optimizer: Any) -> None:
    """Let gradients be clipped by a norm and then by value, which today's optimizers refuse."""
    initialise, clip = optimizer.__init__, optimizer._clip_gradients

    @functools.wraps(initialise)
    def init(self: Any, *args: Any, clipvalue: float | None = None, **kwargs: Any) -> None:
        initialise(self, *args, **kwargs)
        self.clipvalue = clipvalue

    def clip_both(self: Any, gradients: Any) -> Any:
        import keras

        clipped, limit = clip(self, gradients), self.clipvalue
        if limit and (self.clipnorm or self.global_clipnorm):
            clipped = [g if g is None else keras.ops.clip(g, -limit, limit) for g in clipped]
        return clipped

    init.__signature__ = inspect.signature(initialise)  # type: ignore[attr-defined]  # which Keras reads
    optimizer.__init__, optimizer._clip_gradients = init, clip_both

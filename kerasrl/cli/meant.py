"""What somebody meant who typed a word that a command does not know: an option, by its meaning, or its value alone."""

import difflib
import os
from collections.abc import Collection, Sequence

from kerasrl.config.files import presets
from kerasrl.config.other_names import called_here


def option_meant(word: str, options: Collection[str]) -> str:
    """Return the option of `options`, such as --seed, that is called `word` elsewhere, or looks like it; "" if none."""
    asked = word.partition("=")[0]
    other = called_here(asked.lstrip("-"), [option.lstrip("-") for option in options])
    if other is not None:
        return other and f"--{other}"
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

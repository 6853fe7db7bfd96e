"""Compiled calls where TensorFlow's private names are missing, or do something else."""

import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python import pywrap_tfe

from kerasrl.errors import Note
from kerasrl.learning import CompiledCalls, compiled_call

ARRAYS = [np.array([[1.0, 2.0]], np.float32), np.arange(4).reshape(2, 2), np.array([1, 2])]


@pytest.fixture(autouse=True)
def not_tried_yet():
    trial = compiled_call._can_call_by_name
    trial.cache_clear()
    yield
    trial.cache_clear()


def results():
    """What a function with captured variables gives, called twice with other numbers."""
    variable = tf.Variable(3.0)

    def function(floats, integers, vector):
        return tf.concat([variable * floats[0], tf.cast(integers[0], tf.float32), vector], 0)

    calls = CompiledCalls(jit_compile=False)
    return [calls("f", function, [a * factor for a in ARRAYS]).tolist() for factor in (1, 2)]


EXPECTED = [[3.0, 6.0, 0.0, 1.0, 1.0, 2.0], [6.0, 12.0, 0.0, 2.0, 2.0, 4.0]]


def test_private_names_are_used_where_they_work(monkeypatch):
    used, original = [], pywrap_tfe.TFE_Py_Execute
    monkeypatch.setattr(pywrap_tfe, "TFE_Py_Execute", lambda *arguments: used.append(1) or original(*arguments))
    assert results() == EXPECTED
    assert len(used) == 3  # the trial, and two calls


def execute_that(does):
    return ("tensorflow.python.pywrap_tfe", SimpleNamespace(TFE_Py_Execute=does))


@pytest.mark.parametrize(
    ("module", "instead"),
    [
        ("tensorflow.python.pywrap_tfe", None),
        ("tensorflow.python.pywrap_tfe", SimpleNamespace()),
        ("tensorflow.python.eager.context", SimpleNamespace(context=lambda: SimpleNamespace())),
        ("tensorflow.python.eager.core", SimpleNamespace()),
        execute_that(lambda *arguments: 1 / 0),
        execute_that(lambda *arguments: [tf.constant([0.0, 0.0, 0.0])]),
        execute_that(lambda *arguments: [np.array([2.0, 4.0, 6.0])]),
        execute_that(lambda *arguments: []),
    ],
    ids=["no module", "no function", "no handle", "no failure", "failing", "wrong", "of another type", "empty"],
)
def test_the_public_call_is_used_where_they_do_not(monkeypatch, module, instead):
    # TensorFlow's own modules have theirs; only who imports them from now on gets another one.
    package, _, name = module.rpartition(".")
    if instead is None:
        monkeypatch.setitem(sys.modules, module, None)
        monkeypatch.delattr(sys.modules[package], name)
    else:
        monkeypatch.setattr(sys.modules[package], name, instead)
    with pytest.warns(Note, match="takes about 70 microseconds longer") as notes:
        assert results() == EXPECTED
    assert len(notes) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one note is enough
        assert results() == EXPECTED


def test_floats_of_any_type_share_a_call():
    traced = []

    def double(matrix, vector):
        traced.append(1)
        return 2.0 * matrix[0] + vector

    calls = CompiledCalls(jit_compile=False)
    for kind in (np.float32, np.float64, np.float16):
        result = calls("f", double, [np.array([[1.5, 2.0]], kind), np.array([1, 2])])
        assert result.dtype == np.float32 and result.tolist() == [4.0, 6.0]
    assert len(traced) == 1


def test_a_mistake_is_told_as_what_it_is_either_way(monkeypatch):
    def failing(vector):
        with tf.control_dependencies([tf.debugging.Assert(vector[0] > 5, ["too small"])]):
            return tf.identity(vector)

    for works in (True, False):
        monkeypatch.setattr(compiled_call, "_can_call_by_name", lambda works=works: works)
        with pytest.raises(tf.errors.InvalidArgumentError, match="too small"):
            CompiledCalls(jit_compile=False)("f", failing, [np.ones(3, np.float32)])

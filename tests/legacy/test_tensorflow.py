"""TensorFlow 1's names, and Keras under TensorFlow's."""

import textwrap

import pytest

# Each leaves `answer`; what it has to be stands below it.
SNIPPETS = {
    "sessions": (
        """
        import tensorflow as tf
        config = tf.ConfigProto(gpu_options=tf.GPUOptions(per_process_gpu_memory_fraction=0.3))
        config.gpu_options.allow_growth = True
        tf.keras.backend.set_session(tf.Session(config=config))
        session = tf.InteractiveSession()
        session.run(tf.global_variables_initializer())
        with tf.Session() as other:
            answer = other.run([tf.constant(3), tf.Variable(4)])
        """,
        "[np.int32(3), np.int32(4)]",
    ),
    "sessions_of_version_1": (
        """
        import tensorflow as tf
        import tensorflow.compat.v1 as tf1
        from tensorflow.compat.v1.keras.backend import set_session
        config = tf.compat.v1.ConfigProto()
        config.gpu_options.allow_growth = True
        session = tf.compat.v1.Session(config=config)
        set_session(session)
        tf.compat.v1.keras.backend.set_session(tf1.Session(config=config))
        graph = tf1.get_default_graph()
        with graph.as_default():
            session.run(tf1.global_variables_initializer())
        tf1.reset_default_graph()
        answer = tf1.keras.layers.Dense is tf.keras.layers.Dense
        """,
        "True",
    ),
    "eager_execution_stays_on": (
        """
        import tensorflow as tf
        import tensorflow.compat.v1 as tf1
        from tensorflow.python.framework.ops import disable_eager_execution
        tf.compat.v1.disable_eager_execution()
        tf1.disable_v2_behavior()
        tf1.disable_eager_execution()
        disable_eager_execution()
        tf.enable_eager_execution()
        answer = tf.executing_eagerly()
        """,
        "True",
    ),
    "names_of_version_1": (
        """
        import tensorflow as tf
        tf.logging.set_verbosity(tf.logging.ERROR)
        answer = float(tf.log(1.0)), float(tf.to_float(2)), tf.app is not None
        """,
        "(0.0, 2.0, True)",
    ),
    "graphs_are_refused_when_used": (
        """
        import tensorflow as tf
        from tensorflow.contrib import slim
        import tensorflow.contrib.layers as layers
        answer = []
        for use in (lambda: tf.placeholder(tf.float32), lambda: slim.conv2d(1), lambda: layers.fully_connected(1),
                    lambda: tf.compat.v1.placeholder(tf.float32), lambda: tf.contrib.rnn.LSTMCell(3),
                    lambda: tf.Session().run("train", {})):
            try:
                use()
            except ValueError as error:
                answer.append(str(error).partition(" of TensorFlow 1")[0].partition(" needs")[0])
        """,
        "['tf.placeholder', 'tensorflow.contrib.slim.conv2d', 'tensorflow.contrib.layers.fully_connected', "
        "'tf.placeholder', 'tensorflow.contrib.rnn.LSTMCell', 'Session.run']",
    ),
    "optimizers_of_version_1": (
        """
        import tensorflow as tf
        from tensorflow.keras.optimizers import Optimizer
        made = [tf.train.AdamOptimizer(0.5, beta1=0.25), tf.compat.v1.train.RMSPropOptimizer(0.5, decay=0.75),
                tf.train.MomentumOptimizer(0.5, 0.25)]
        answer = [isinstance(m, Optimizer) for m in made], made[0].beta_1, made[1].rho, made[2].momentum
        """,
        "([True, True, True], 0.25, 0.75, 0.25)",
    ),
    "paths": (
        """
        import tensorflow as tf
        from tensorflow.keras.layers.core import Dense
        from tensorflow.keras.engine.topology import Layer
        from tensorflow.python.keras.layers import Dense as private
        from tensorflow.contrib.keras.api.keras.layers import Dense as contributed
        from tensorflow.keras.utils.np_utils import to_categorical
        import tensorflow.keras.backend as K
        K.set_session(None)
        answer = [d is tf.keras.layers.Dense for d in (Dense, private, contributed)], K.image_dim_ordering()
        """,
        "([True, True, True], 'tf')",
    ),
    "optimizers": (
        """
        import tensorflow as tf
        from tensorflow.keras.optimizers.legacy import Adam
        from tensorflow.keras.optimizers.experimental import SGD
        answer = [float(o.lr) for o in (Adam(lr=0.5), tf.keras.optimizers.legacy.Adam(0.25), SGD(0.5),
                  tf.keras.optimizers.Adam(lr=0.125), tf.keras.optimizers.Nadam())]
        """,
        "[0.5, 0.25, 0.5, 0.125, 0.0010000000474974513]",
    ),
    "kernel_and_strides": (
        """
        from tensorflow.keras.layers import Conv2D, Convolution2D
        layers = [Conv2D(16, 8, 4), Convolution2D(16, 8, 4, border_mode='same')]
        answer = [(layer.kernel_size, layer.strides) for layer in layers]
        """,
        "[((8, 8), (4, 4)), ((8, 4), (1, 1))]",
    ),
    "convolutions_over_a_window": (
        """
        import numpy as np
        from tensorflow.keras.layers import Conv2D, Conv1D, Flatten, Dense
        from tensorflow.keras.models import Sequential
        model = Sequential([Conv2D(4, 3, activation='relu', input_shape=(2, 8, 8, 3)),
                            Conv1D(5, 2), Flatten(), Dense(1)])
        model.compile('sgd', 'mse')
        model.fit(np.ones((4, 2, 8, 8, 3)), np.ones((4, 1)), verbose=0)
        one = Sequential([Conv2D(4, 3, activation='relu', input_shape=(8, 8, 3))])
        one.set_weights(model.layers[0].get_weights())
        x = np.random.rand(4, 2, 8, 8, 3)
        same = np.allclose(np.asarray(model.layers[0](x))[:, 1], one.predict(x[:, 1]), atol=1e-6)
        answer = [layer.output_shape for layer in model.layers[:2]], same
        """,
        "([(None, 2, 6, 6, 4), (None, 2, 6, 5, 5)], True)",
    ),
    "functions_of_symbols": (
        """
        import numpy as np
        import tensorflow as tf
        from tensorflow.keras.layers import Input
        from tensorflow.keras.models import Model
        x = Input(shape=(2,))
        model = Model(x, x - tf.reduce_mean(x, axis=1, keepdims=True))
        answer = tf.keras.models.clone_model(model).predict(np.array([[1.0, 3.0]])).tolist()
        """,
        "[[-1.0, 1.0]]",
    ),
}


@pytest.fixture(scope="module")
def found(answers_of):
    return answers_of({name: source for name, (source, _) in SNIPPETS.items()})


@pytest.mark.long
@pytest.mark.parametrize("name", SNIPPETS)
def test_tensorflow_of_version_1_configures_and_refuses(found, name):
    assert found[0][name] == SNIPPETS[name][1]


@pytest.mark.long
def test_nothing_but_the_notes_is_written(found):
    assert [line for line in found[1] if not line.startswith("note: ") and ".py, line " not in line] == []


@pytest.mark.long
def test_a_seed_holds_for_keras_whoever_takes_it_and_when(answers_of):
    """As keras.utils.set_random_seed would, also before Keras is imported."""
    weights = """
        import keras
        layer = keras.layers.Dense(2)
        layer.build((None, 3))
        answer = layer.get_weights()[0].tolist()
        """
    sources = {
        "seed_numpy_early": "import numpy as np\nnp.random.seed(7)",
        "seed_numpy": "import keras\nimport numpy as np\nnp.random.seed(np.int64(7))",
        "function_of_numpy": "from numpy.random import seed\nseed(7)",
        "seed_tensorflow": "import tensorflow as tf\ntf.random.set_seed(7)",
        "version_1": "import tensorflow as tf\ntf.set_random_seed(7)",
        "function_of_version_1": "from tensorflow import set_random_seed\nset_random_seed(7)",
        "compat": "import tensorflow as tf\ntf.compat.v1.set_random_seed(7)",
        "keras_itself": "import keras\nkeras.utils.set_random_seed(7)",
        "another": "import keras\nkeras.utils.set_random_seed(8)",
    }
    found = answers_of({name: source + textwrap.dedent(weights) for name, source in sources.items()})[0]
    assert len({found[name] for name in sources if name != "another"}) == 1
    assert found["another"] != found["seed_numpy"]


@pytest.mark.long
@pytest.mark.parametrize(("backend", "level"), [("theano", None), ("cntk", "2")])
def test_what_the_script_sets_before_it_imports_keras_is_taken(answers_of, backend, level):
    source = f"""
        import os
        os.environ["KERAS_BACKEND"] = {backend!r}
        if {level!r}:
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = {level!r}
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        import keras
        answer = keras.backend.backend(), os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["CUDA_VISIBLE_DEVICES"]
        """
    found, told = answers_of({"early": source})
    assert found["early"] == repr(("tensorflow", level or "3", "-1"))
    assert told == [f"early.py, line 7: KERAS_BACKEND={backend} -> tensorflow"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("shape", "imports", "threads"),
    [((1, 4), "import gym, rl.agents", 1), ((4, 84, 84), "import gym, rl.agents", 0), ((1, 4), "", 0)],  # 0: all
)
def test_a_network_gets_the_threads_that_suit_it_if_keras_rl_is_used(answers_of, shape, imports, threads):
    source = f"""
        import os
        {imports or "import os"}
        from keras.models import Sequential
        from keras.layers import Flatten, Dense
        import tensorflow as tf
        model = Sequential()
        model.add(Flatten(input_shape={shape}))
        model.add(Dense(2))
        answer = tf.config.threading.get_intra_op_parallelism_threads()
        """
    assert answers_of({"threads": source})[0]["threads"] == repr(threads)

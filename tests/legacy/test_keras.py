"""Keras 1 and 2: paths, names, arguments, backend, files."""

import pytest

# Each leaves `answer`; what it has to be stands below it.
PLAIN = {
    "paths": (
        """
        from keras.layers.core import Dense, Activation, Flatten
        from keras.layers.convolutional import Convolution2D, MaxPooling2D
        from keras.layers.pooling import AveragePooling2D
        from keras.layers.recurrent import LSTM
        from keras.layers.embeddings import Embedding
        from keras.layers.normalization import BatchNormalization
        from keras.layers.advanced_activations import LeakyReLU
        from keras.layers.wrappers import TimeDistributed
        from keras.engine.topology import Layer, Input, InputSpec, Container
        from keras.engine.training import Model
        from keras.objectives import mse
        from keras.utils.np_utils import to_categorical
        from keras.utils.generic_utils import get_custom_objects, Progbar
        from keras.utils.vis_utils import plot_model
        from keras.utils.data_utils import Sequence
        from keras.optimizer_v2.adam import Adam
        from keras.callbacks.callbacks import EarlyStopping
        from keras.preprocessing.text import Tokenizer
        import keras.some.module_that_nobody_listed as unknown, keras
        answer = [Dense is keras.layers.Dense, Container is keras.models.Model, unknown.Dense is Dense]
        """,
        "[True, True, True]",
    ),
    "attributes": (
        """
        import keras
        answer = [keras.layers.core.Dense is keras.layers.Dense, keras.engine.topology.Layer is keras.Layer,
                  keras.optimizers.adam is keras.optimizers.Adam,
                  keras.constraints.maxnorm is keras.constraints.MaxNorm]
        """,
        "[True, True, True, True]",
    ),
    "lost": (
        """
        from keras.layers import Merge, MaxoutDense, CuDNNLSTM, LSTM
        from keras.models import model_from_yaml
        class Mine(MaxoutDense): pass
        answer = CuDNNLSTM is LSTM
        """,
        "True",
    ),
    "lost_used": (
        """
        from keras.layers import MaxoutDense
        answer = MaxoutDense(3)
        """,
        "UserError: keras.layers.MaxoutDense is missing in Keras 3",
    ),
    "lost_function_used": (
        """
        from keras.layers.recurrent import time_distributed_dense
        answer = time_distributed_dense(3)
        """,
        "UserError: keras.layers.recurrent.time_distributed_dense is missing in Keras 3",
    ),
    "typing_error": (
        """
        from keras.layers import Densee
        """,
        "ImportError: cannot import name 'Densee' from 'keras.layers'",
    ),
    "typing_error_in_lower_case": (
        """
        from keras.layers import densee
        """,
        "ImportError: cannot import name 'densee' from 'keras.layers'",
    ),
    "dense": (
        """
        from keras.layers import Dense
        from keras.regularizers import l2
        import numpy as np
        layer = Dense(output_dim=np.int64(3), init='uniform', W_regularizer=l2(0.5), bias=False, input_dim=4)
        c = layer.get_config()
        answer = [c['units'], c['kernel_initializer']['class_name'], c['use_bias'], layer.kernel_regularizer.l2]
        """,
        "[3, 'RandomUniform', False, 0.5]",
    ),
    "convolution": (
        """
        from keras.models import Sequential
        from keras.layers import Convolution2D, MaxPooling2D, AveragePooling2D
        model = Sequential()
        model.add(Convolution2D(16, 8, 4, subsample=(4, 4), border_mode='same', dim_ordering='tf',
                                input_shape=(84, 84, 4), activation='relu'))
        model.add(Convolution2D(nb_filter=5, nb_row=3, nb_col=2))
        model.add(MaxPooling2D((2, 2), border_mode='same', dim_ordering='tf'))
        model.add(AveragePooling2D())
        answer = [tuple(layer.kernel.shape[:2]) for layer in model.layers[:2]], model.layers[0].output_shape,\
            model.output_shape
        """,
        "([(8, 4), (3, 2)], (None, 21, 21, 16), (None, 5, 5, 5))",
    ),
    "recurrent": (
        """
        from keras.models import Sequential
        from keras.layers import LSTM, GRU, Dense
        model = Sequential()
        model.add(LSTM(output_dim=5, inner_init='orthogonal', inner_activation='hard_sigmoid', dropout_W=0.1,
                       dropout_U=0.2, consume_less='cpu', forget_bias_init='one', input_dim=4, input_length=3,
                       return_sequences=True, unroll=True))
        model.add(GRU(6, implementation=2))
        c = model.layers[0].get_config()
        answer = model.input_shape, model.output_shape, c['recurrent_dropout'], c['recurrent_activation']
        """,
        "((None, 3, 4), (None, 6), 0.2, 'hard_sigmoid')",
    ),
    "embedding": (
        """
        from keras.models import Sequential
        from keras.layers import Embedding, Reshape, Dense
        models = [Sequential([Embedding(500, 10, input_length=1), Reshape((10,)), Dense(2)]),
                  Sequential([Embedding(500, 10), Reshape((10,)), Dense(2)])]
        answer = [model.output_shape for model in models]
        """,
        "[(None, 2), (None, 2)]",
    ),
    "small_layers": (
        """
        from keras.models import Sequential
        from keras.layers import *
        model = Sequential([Dense(4, batch_input_shape=(None, 4)), Dropout(p=0.3), GaussianNoise(sigma=0.1),
                            LeakyReLU(alpha=0.2), BatchNormalization(mode=0, beta_init='zero'), Dense(24.0)])
        answer = model.layers[1].rate, model.layers[2].stddev, model.layers[3].negative_slope, model.output_shape
        """,
        "(0.3, 0.1, 0.2, (None, 24))",
    ),
    "own_dropout": (
        """
        import numpy as np
        from keras import backend as K
        from keras.layers import Dense, Dropout
        from keras.models import Sequential
        class Always(Dropout):
            def call(self, x, mask=None):
                return K.dropout(x, self.p, self._get_noise_shape(x))
        model = Sequential([Always(0.5, input_shape=(1000,))])
        layer = Dense(output_dim=3)
        answer = bool(300 < (model.predict(np.ones((1, 1000))) == 0).sum() < 700), layer.output_dim
        """,
        "(True, 3)",
    ),
    "weights_given": (
        """
        import numpy as np
        from keras.models import Sequential
        from keras.layers import Dense
        model = Sequential([Dense(2, input_dim=2, weights=[np.eye(2), np.ones(2)])])
        answer = model.predict(np.array([[1.0, 2.0]])).tolist()
        """,
        "[[2.0, 3.0]]",
    ),
    "initialiser_function": (
        """
        from keras.initializations import normal
        from keras.models import Sequential
        from keras.layers import Dense
        model = Sequential([Dense(50, init=lambda shape, name: normal(shape, scale=0.01, name=name), input_dim=50)])
        answer = bool(0.005 < model.get_weights()[0].std() < 0.02)
        """,
        "True",
    ),
    "merge": (
        """
        from keras.layers import merge, Input, Dense
        from keras.layers.merge import concatenate, Concatenate
        from keras.models import Model
        x = Input(shape=(4,))
        a, b = Dense(3)(x), Dense(3)(x)
        model = Model(input=x, output=[merge([a, b], mode='concat'), merge([a, b], mode='sum'), concatenate([a, b])])
        answer = model.output_shape
        """,
        "[(None, 6), (None, 3), (None, 6)]",
    ),
    "own_layer": (
        """
        from keras import backend as K
        from keras.engine.topology import Layer
        from keras.models import Sequential
        class Mine(Layer):
            def __init__(self, output_dim, **kwargs):
                self.output_dim = output_dim
                super(Mine, self).__init__(**kwargs)
            def build(self, input_shape):
                self.W = self.add_weight('W', (input_shape[1], self.output_dim), initializer='uniform')
                super(Mine, self).build(input_shape)
            def call(self, x, mask=None):
                return K.dot(x, self.W)
            def compute_output_shape(self, input_shape):
                return (input_shape[0], self.output_dim)
        answer = Sequential([Mine(3, input_shape=(4,))]).output_shape
        """,
        "(None, 3)",
    ),
    "optimizers": (
        """
        from keras.optimizers import Adam, RMSprop, SGD, Nadam, adam_v2, get
        import keras.optimizers as o
        rates = [Adam(lr=0.25), RMSprop(lr=1), SGD(lr=0.5, momentum=0.9, decay=0.0),
                 Nadam(lr=0.5, schedule_decay=0.004),
                 adam_v2.Adam(0.25), Adam(lr=0.5, epsilon=None), o.Adam(0.5, 0.9, 0.999, 1e-8, 0.0)]
        answer = [float(optimizer.lr) for optimizer in rates], round(float(Nadam().lr), 4), type(get('adam')).__name__
        """,
        "([0.25, 1.0, 0.5, 0.5, 0.25, 0.5, 0.5], 0.002, 'Adam')",
    ),
    "decay": (
        """
        from keras.optimizers import SGD
        schedule = SGD(lr=1.0, decay=0.5)._learning_rate
        answer = [round(float(schedule(step)), 3) for step in (0, 1, 2)]
        """,
        "[1.0, 0.667, 0.5]",
    ),
    "learning_rate_is_changed": (
        """
        from keras import backend as K
        from keras.models import Sequential
        from keras.layers import Dense
        from keras.optimizers import SGD
        model = Sequential([Dense(1, input_dim=1)])
        model.compile(SGD(lr=0.25), 'mse')
        before = float(K.get_value(model.optimizer.lr))
        K.set_value(model.optimizer.lr, 0.5)
        middle = float(model.optimizer.lr)
        model.optimizer.lr = 0.75
        answer = before, middle, float(K.get_value(model.optimizer.lr))
        """,
        "(0.25, 0.5, 0.75)",
    ),
    "methods": (
        """
        import numpy as np
        from keras.models import Sequential
        from keras.layers import Dense
        model = Sequential([Dense(2, input_dim=3, init='zero')])
        model.compile(loss='logcosh', optimizer='rmsprop', metrics=['mae'], class_mode='binary')
        x, y = np.ones((4, 3)), np.array([[0.0, 1.0]] * 4)
        h = model.fit(x, y, nb_epoch=2, batch_size=2, verbose=0)
        def batches():
            while True:
                yield x, y
        g = model.fit_generator(batches(), steps_per_epoch=3, nb_epoch=4, verbose=0, workers=2)
        answer = len(h.epoch), len(g.epoch), model.predict_classes(x).tolist(), model.reset_states()
        """,
        "(2, 4, [1, 1, 1, 1], None)",
    ),
    "backend": (
        """
        from keras import backend as K
        import keras.backend.tensorflow_backend as KTF
        import numpy as np
        KTF.set_session(KTF.get_session())
        K.clear_session()
        K.set_learning_phase(1)
        orders = [K.image_dim_ordering()]
        K.set_image_dim_ordering('th')
        orders += [K.image_dim_ordering(), K.image_data_format()]
        K.set_image_dim_ordering('tf')
        answer = orders, K.backend(), float(K.eval(K.mean(K.variable(np.arange(3.0))))), K.learning_phase(),\
            K.tf.__name__, K.int_shape(K.zeros((2, 3)))
        """,
        "(['tf', 'th', 'channels_first'], 'tensorflow', 1.0, 0, 'tensorflow', (2, 3))",
    ),
    "dueling_by_hand": (
        """
        from keras import backend as K
        from keras.layers import Dense, Lambda
        from keras.models import Sequential
        model = Sequential([Dense(4, input_shape=(3,)), Lambda(lambda a: K.expand_dims(a[:, 0], -1) + a[:, 1:]
                            - K.mean(a[:, 1:], keepdims=True), output_shape=(3,))])
        answer = model.output_shape
        """,
        "(None, 3)",
    ),
    "backend_on_symbols": (
        """
        import numpy as np
        from keras import backend as K
        from keras.layers import Input
        from keras.models import Model, clone_model
        x = Input(shape=(2,))
        model = Model(inputs=x, outputs=x - K.mean(x, axis=1, keepdims=True))
        copy = clone_model(model)
        answer = copy.predict(np.array([[1.0, 3.0]])).tolist(),\
            K.function([model.input], [model.output])([np.array([[1.0, 3.0]])])[0].tolist()
        """,
        "([[-1.0, 1.0]], [[-1.0, 1.0]])",
    ),
    "activation_of_the_backend": (
        """
        import numpy as np
        from keras import backend as K
        from keras.layers import Dense, Activation
        from keras.models import Sequential, clone_model
        model = Sequential([Dense(2, activation=K.relu, input_dim=2), Activation(K.tanh)])
        answer = clone_model(model).output_shape
        """,
        "(None, 2)",
    ),
    "channels_first_learns": (
        """
        import numpy as np
        from keras.models import Sequential
        from keras.layers import *
        model = Sequential([Convolution2D(4, 3, 3, dim_ordering='th', input_shape=(2, 8, 8), activation='tanh'),
                            MaxPooling2D(dim_ordering='th'), Flatten(), Dense(1)])
        model.compile('sgd', 'mse')
        before = model.get_weights()[0].copy()
        model.fit(np.ones((4, 2, 8, 8)), np.ones((4, 1)), verbose=0)
        answer = model.layers[1].output_shape, bool((model.get_weights()[0] != before).any())
        """,
        "((None, 4, 3, 3), True)",
    ),
    "saving": (
        """
        import h5py, numpy as np
        from keras.models import Sequential, load_model, model_from_json, save_model
        from keras.layers import Dense
        from keras.optimizers import Adam
        model = Sequential([Dense(2, input_dim=3)])
        model.compile(Adam(lr=0.5), 'mse')
        x = np.ones((1, 3))
        model.fit(x, np.ones((1, 2)), verbose=0)
        loaded = []
        for name in ('a_model', 'model.h5', 'model.hdf5', 'model.mod', 'model.keras'):
            model.save(name)
            loaded.append(load_model(name))
        for name in ('weights', 'weights.h5', 'weights.h5f', 'some.weights.h5'):
            model.save_weights(name)
            other = model_from_json(model.to_json())
            other.load_weights(name)
            loaded.append(other)
        answer = [bool((m.predict(x) == model.predict(x)).all()) for m in loaded].count(True),\
            float(loaded[0].optimizer.lr), h5py.is_hdf5('a_model')
        """,
        "(9, 0.5, True)",
    ),
    "nothing_to_load": (
        """
        from keras.models import Sequential, load_model
        from keras.layers import Dense
        model = Sequential([Dense(2, input_dim=3)])
        answer = []
        open('no_hdf5', 'w').write('no')
        for load in (model.load_weights, load_model):
            for name in ('missing.h5', 'missing', 'no_hdf5'):
                try:
                    load(name)
                except OSError as error:
                    answer.append(isinstance(error, FileNotFoundError))
        """,
        "[True, True, False, True, True, False]",
    ),
    "yaml": (
        """
        from keras.models import Sequential
        answer = Sequential().to_yaml()
        """,
        "UserError: Model.to_yaml is missing in Keras 3: YAML could run code when it was read; use to_json",
    ),
}


@pytest.fixture(scope="module")
def plain(answers_of):
    return answers_of({name: source for name, (source, _) in PLAIN.items()})


@pytest.mark.long
@pytest.mark.parametrize("name", PLAIN)
def test_plain_keras_of_keras_1_and_2_works_or_says_what_is_missing(plain, name):
    assert plain[0][name].partition(" (/")[0] == PLAIN[name][1]


@pytest.mark.long
def test_nothing_but_the_notes_is_written(plain):
    assert [line for line in plain[1] if not line.startswith("note: ") and ".py, line " not in line] == []


@pytest.mark.long
def test_the_notes_name_lines(plain):
    assert "dense.py, line 5: Dense(init='uniform') -> kernel_initializer" in plain[1]
    assert "paths.py, line 17: keras.optimizer_v2.adam -> keras.optimizers" in plain[1]
    rate = "learning_rate=InverseTimeDecay(decay_steps=1, decay_rate=0.5)"
    assert f"decay.py, line 3: SGD(lr=1.0, decay=0.5) -> {rate}" in plain[1]

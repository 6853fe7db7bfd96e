import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from snippets import answers, run

# Each leaves `answer`; what it has to be stands beside it.
PLAIN = {
    "paths": (
        "from keras.layers.core import Dense, Activation, Flatten\n"
        "from keras.layers.convolutional import Convolution2D, MaxPooling2D\n"
        "from keras.layers.pooling import AveragePooling2D\n"
        "from keras.layers.recurrent import LSTM\n"
        "from keras.layers.embeddings import Embedding\n"
        "from keras.layers.normalization import BatchNormalization\n"
        "from keras.layers.advanced_activations import LeakyReLU\n"
        "from keras.layers.wrappers import TimeDistributed\n"
        "from keras.engine.topology import Layer, Input, InputSpec, Container\n"
        "from keras.engine.training import Model\n"
        "from keras.objectives import mse\n"
        "from keras.utils.np_utils import to_categorical\n"
        "from keras.utils.generic_utils import get_custom_objects, Progbar\n"
        "from keras.utils.vis_utils import plot_model\n"
        "from keras.utils.data_utils import Sequence\n"
        "from keras.optimizer_v2.adam import Adam\n"
        "from keras.callbacks.callbacks import EarlyStopping\n"
        "from keras.preprocessing.text import Tokenizer\n"
        "import keras.some.module_that_nobody_listed as unknown, keras\n"
        "answer = [Dense is keras.layers.Dense, Container is keras.models.Model, unknown.Dense is Dense]\n",
        "[True, True, True]",
    ),
    "attributes": (
        "import keras\nanswer = [keras.layers.core.Dense is keras.layers.Dense, keras.engine.topology.Layer is keras.Layer,"
        " keras.optimizers.adam is keras.optimizers.Adam, keras.constraints.maxnorm is keras.constraints.MaxNorm]\n",
        "[True, True, True, True]",
    ),
    "lost": (
        "from keras.layers import Merge, MaxoutDense, CuDNNLSTM, LSTM\nfrom keras.models import model_from_yaml\n"
        "class Mine(MaxoutDense): pass\nanswer = CuDNNLSTM is LSTM\n",
        "True",
    ),
    "lost_used": (
        "from keras.layers import MaxoutDense\nanswer = MaxoutDense(3)\n",
        "UserError: keras.layers.MaxoutDense is missing in Keras 3",
    ),
    "lost_function_used": (
        "from keras.layers.recurrent import time_distributed_dense\nanswer = time_distributed_dense(3)\n",
        "UserError: keras.layers.recurrent.time_distributed_dense is missing in Keras 3",
    ),
    "typing_error": (
        "from keras.layers import Densee\n",
        "ImportError: cannot import name 'Densee' from 'keras.layers'",
    ),
    "typing_error_in_lower_case": (
        "from keras.layers import densee\n",
        "ImportError: cannot import name 'densee' from 'keras.layers'",
    ),
    "dense": (
        "from keras.layers import Dense\nfrom keras.regularizers import l2\nimport numpy as np\n"
        "layer = Dense(output_dim=np.int64(3), init='uniform', W_regularizer=l2(0.5), bias=False, input_dim=4)\n"
        "c = layer.get_config()\n"
        "answer = [c['units'], c['kernel_initializer']['class_name'], c['use_bias'], layer.kernel_regularizer.l2]\n",
        "[3, 'RandomUniform', False, 0.5]",
    ),
    "convolution": (
        "from keras.models import Sequential\nfrom keras.layers import Convolution2D, MaxPooling2D, AveragePooling2D\n"
        "model = Sequential()\n"
        "model.add(Convolution2D(16, 8, 4, subsample=(4, 4), border_mode='same', dim_ordering='tf',\n"
        "                        input_shape=(84, 84, 4), activation='relu'))\n"
        "model.add(Convolution2D(nb_filter=5, nb_row=3, nb_col=2))\n"
        "model.add(MaxPooling2D((2, 2), border_mode='same', dim_ordering='tf'))\nmodel.add(AveragePooling2D())\n"
        "answer = [layer.kernel.shape[:2] for layer in model.layers[:2]], model.layers[0].output_shape,"
        " model.output_shape\n",
        "([(8, 4), (3, 2)], (None, 21, 21, 16), (None, 5, 5, 5))",
    ),
    "recurrent": (
        "from keras.models import Sequential\nfrom keras.layers import LSTM, GRU, Dense\n"
        "model = Sequential()\n"
        "model.add(LSTM(output_dim=5, inner_init='orthogonal', inner_activation='hard_sigmoid', dropout_W=0.1,\n"
        "               dropout_U=0.2, consume_less='cpu', forget_bias_init='one', input_dim=4, input_length=3,\n"
        "               return_sequences=True, unroll=True))\nmodel.add(GRU(6, implementation=2))\n"
        "c = model.layers[0].get_config()\nanswer = model.input_shape, model.output_shape, c['recurrent_dropout'],"
        " c['recurrent_activation']\n",
        "((None, 3, 4), (None, 6), 0.2, 'hard_sigmoid')",
    ),
    "embedding": (
        "from keras.models import Sequential\nfrom keras.layers import Embedding, Reshape, Dense\n"
        "models = [Sequential([Embedding(500, 10, input_length=1), Reshape((10,)), Dense(2)]),\n"
        "          Sequential([Embedding(500, 10), Reshape((10,)), Dense(2)])]\n"
        "answer = [model.output_shape for model in models]\n",
        "[(None, 2), (None, 2)]",
    ),
    "small_layers": (
        "from keras.models import Sequential\n"
        "from keras.layers import *\n"
        "model = Sequential([Dense(4, batch_input_shape=(None, 4)), Dropout(p=0.3), GaussianNoise(sigma=0.1),\n"
        "                    LeakyReLU(alpha=0.2), BatchNormalization(mode=0, beta_init='zero'), Dense(24.0)])\n"
        "answer = model.layers[1].rate, model.layers[2].stddev, model.layers[3].negative_slope, model.output_shape\n",
        "(0.3, 0.1, 0.2, (None, 24))",
    ),
    "weights_given": (
        "import numpy as np\nfrom keras.models import Sequential\nfrom keras.layers import Dense\n"
        "model = Sequential([Dense(2, input_dim=2, weights=[np.eye(2), np.ones(2)])])\n"
        "answer = model.predict(np.array([[1.0, 2.0]])).tolist()\n",
        "[[2.0, 3.0]]",
    ),
    "initialiser_function": (
        "from keras.initializations import normal\nfrom keras.models import Sequential\nfrom keras.layers import Dense\n"
        "model = Sequential([Dense(50, init=lambda shape, name: normal(shape, scale=0.01, name=name), input_dim=50)])\n"
        "answer = 0.005 < model.get_weights()[0].std() < 0.02\n",
        "True",
    ),
    "merge": (
        "from keras.layers import merge, Input, Dense\nfrom keras.layers.merge import concatenate, Concatenate\n"
        "from keras.models import Model\nx = Input(shape=(4,))\na, b = Dense(3)(x), Dense(3)(x)\n"
        "model = Model(input=x, output=[merge([a, b], mode='concat'), merge([a, b], mode='sum'), concatenate([a, b])])\n"
        "answer = model.output_shape\n",
        "[(None, 6), (None, 3), (None, 6)]",
    ),
    "own_layer": (
        "from keras import backend as K\nfrom keras.engine.topology import Layer\nfrom keras.models import Sequential\n"
        "class Mine(Layer):\n"
        "    def __init__(self, output_dim, **kwargs):\n"
        "        self.output_dim = output_dim\n        super(Mine, self).__init__(**kwargs)\n"
        "    def build(self, input_shape):\n"
        "        self.W = self.add_weight('W', (input_shape[1], self.output_dim), initializer='uniform')\n"
        "        super(Mine, self).build(input_shape)\n"
        "    def call(self, x, mask=None):\n        return K.dot(x, self.W)\n"
        "    def compute_output_shape(self, input_shape):\n        return (input_shape[0], self.output_dim)\n"
        "answer = Sequential([Mine(3, input_shape=(4,))]).output_shape\n",
        "(None, 3)",
    ),
    "optimizers": (
        "from keras.optimizers import Adam, RMSprop, SGD, Nadam, adam_v2, get\nimport keras.optimizers as o\n"
        "rates = [Adam(lr=0.25), RMSprop(lr=1), SGD(lr=0.5, momentum=0.9, decay=0.0), Nadam(lr=0.5, schedule_decay=0.004),\n"
        "         adam_v2.Adam(0.25), Adam(lr=0.5, epsilon=None), o.Adam(0.5, 0.9, 0.999, 1e-8, 0.0)]\n"
        "answer = [float(optimizer.lr) for optimizer in rates], round(float(Nadam().lr), 4), get('adam').name\n",
        "([0.25, 1.0, 0.5, 0.5, 0.25, 0.5, 0.5], 0.002, 'adam')",
    ),
    "decay": (
        "from keras.optimizers import SGD\nschedule = SGD(lr=1.0, decay=0.5)._learning_rate\n"
        "answer = [round(float(schedule(step)), 3) for step in (0, 1, 2)]\n",
        "[1.0, 0.667, 0.5]",
    ),
    "learning_rate_is_changed": (
        "from keras import backend as K\nfrom keras.models import Sequential\nfrom keras.layers import Dense\n"
        "from keras.optimizers import SGD\nmodel = Sequential([Dense(1, input_dim=1)])\n"
        "model.compile(SGD(lr=0.25), 'mse')\nbefore = float(K.get_value(model.optimizer.lr))\n"
        "K.set_value(model.optimizer.lr, 0.5)\nmiddle = float(model.optimizer.lr)\nmodel.optimizer.lr = 0.75\n"
        "answer = before, middle, float(K.get_value(model.optimizer.lr))\n",
        "(0.25, 0.5, 0.75)",
    ),
    "methods": (
        "import numpy as np\nfrom keras.models import Sequential\nfrom keras.layers import Dense\n"
        "model = Sequential([Dense(2, input_dim=3, init='zero')])\n"
        "model.compile(loss='logcosh', optimizer='rmsprop', metrics=['mae'], class_mode='binary')\n"
        "x, y = np.ones((4, 3)), np.array([[0.0, 1.0]] * 4)\n"
        "h = model.fit(x, y, nb_epoch=2, batch_size=2, verbose=0)\n"
        "def batches():\n    while True:\n        yield x, y\n"
        "g = model.fit_generator(batches(), steps_per_epoch=3, nb_epoch=4, verbose=0, workers=2)\n"
        "answer = len(h.epoch), len(g.epoch), model.predict_classes(x).tolist(), model.reset_states()\n",
        "(2, 4, [1, 1, 1, 1], None)",
    ),
    "backend": (
        "from keras import backend as K\nimport keras.backend.tensorflow_backend as KTF\nimport numpy as np\n"
        "KTF.set_session(KTF.get_session())\nK.clear_session()\nK.set_learning_phase(1)\n"
        "orders = [K.image_dim_ordering()]\nK.set_image_dim_ordering('th')\n"
        "orders += [K.image_dim_ordering(), K.image_data_format()]\nK.set_image_dim_ordering('tf')\n"
        "answer = orders, K.backend(), float(K.eval(K.mean(K.variable(np.arange(3.0))))), K.learning_phase(),"
        " K.tf.__name__, K.int_shape(K.zeros((2, 3)))\n",
        "(['tf', 'th', 'channels_first'], 'tensorflow', 1.0, 0, 'tensorflow', (2, 3))",
    ),
    "dueling_by_hand": (
        "from keras import backend as K\nfrom keras.layers import Dense, Lambda\nfrom keras.models import Sequential\n"
        "model = Sequential([Dense(4, input_shape=(3,)), Lambda(lambda a: K.expand_dims(a[:, 0], -1) + a[:, 1:]\n"
        "                    - K.mean(a[:, 1:], keepdims=True), output_shape=(3,))])\n"
        "answer = model.output_shape\n",
        "(None, 3)",
    ),
    "backend_on_symbols": (
        "import numpy as np\nfrom keras import backend as K\nfrom keras.layers import Dense, Input\n"
        "from keras.models import Model, clone_model\nx = Input(shape=(2,))\n"
        "model = Model(inputs=x, outputs=x - K.mean(x, axis=1, keepdims=True))\n"
        "answer = model.predict(np.array([[1.0, 3.0]])).tolist(),"
        " K.function([model.input], [clone_model(model).output])([np.array([[1.0, 3.0]])])[0].tolist()\n"
        if False
        else "import numpy as np\nfrom keras import backend as K\nfrom keras.layers import Input\n"
        "from keras.models import Model, clone_model\nx = Input(shape=(2,))\n"
        "model = Model(inputs=x, outputs=x - K.mean(x, axis=1, keepdims=True))\ncopy = clone_model(model)\n"
        "answer = copy.predict(np.array([[1.0, 3.0]])).tolist(),"
        " K.function([model.input], [model.output])([np.array([[1.0, 3.0]])])[0].tolist()\n",
        "([[-1.0, 1.0]], [[-1.0, 1.0]])",
    ),
    "activation_of_the_backend": (
        "import numpy as np\nfrom keras import backend as K\nfrom keras.layers import Dense, Activation\n"
        "from keras.models import Sequential, clone_model\n"
        "model = Sequential([Dense(2, activation=K.relu, input_dim=2), Activation(K.tanh)])\n"
        "answer = clone_model(model).output_shape\n",
        "(None, 2)",
    ),
    "channels_first_learns": (
        "import numpy as np\nfrom keras.models import Sequential\nfrom keras.layers import *\n"
        "model = Sequential([Convolution2D(4, 3, 3, dim_ordering='th', input_shape=(2, 8, 8), activation='relu'),\n"
        "                    MaxPooling2D(dim_ordering='th'), Flatten(), Dense(1)])\nmodel.compile('sgd', 'mse')\n"
        "before = model.get_weights()[0].copy()\nmodel.fit(np.ones((4, 2, 8, 8)), np.ones((4, 1)), verbose=0)\n"
        "answer = model.layers[1].output_shape, bool((model.get_weights()[0] != before).any())\n",
        "((None, 4, 3, 3), True)",
    ),
    "saving": (
        "import h5py, numpy as np\nfrom keras.models import Sequential, load_model, model_from_json, save_model\n"
        "from keras.layers import Dense\nfrom keras.optimizers import Adam\nmodel = Sequential([Dense(2, input_dim=3)])\n"
        "model.compile(Adam(lr=0.5), 'mse')\nx = np.ones((1, 3))\n"
        "model.fit(x, np.ones((1, 2)), verbose=0)\n"
        "loaded = []\n"
        "for name in ('a_model', 'model.h5', 'model.hdf5', 'model.mod', 'model.keras'):\n"
        "    model.save(name)\n    loaded.append(load_model(name))\n"
        "for name in ('weights', 'weights.h5', 'weights.h5f', 'some.weights.h5'):\n"
        "    model.save_weights(name)\n    other = model_from_json(model.to_json())\n    other.load_weights(name)\n"
        "    loaded.append(other)\n"
        "answer = [bool((m.predict(x) == model.predict(x)).all()) for m in loaded].count(True),"
        " float(loaded[0].optimizer.lr), h5py.is_hdf5('a_model')\n",
        "(9, 0.5, True)",
    ),
    "nothing_to_load": (
        "from keras.models import Sequential, load_model\nfrom keras.layers import Dense\n"
        "model = Sequential([Dense(2, input_dim=3)])\nanswer = []\nopen('no_hdf5', 'w').write('no')\n"
        "for load in (model.load_weights, load_model):\n    for name in ('missing.h5', 'missing', 'no_hdf5'):\n"
        "        try:\n            load(name)\n        except OSError as error:\n"
        "            answer.append(isinstance(error, FileNotFoundError))\n",
        "[True, True, False, True, True, False]",
    ),
    "yaml": (
        "from keras.models import Sequential\nanswer = Sequential().to_yaml()\n",
        "UserError: Model.to_yaml is missing in Keras 3: YAML could run code when it was read; use to_json",
    ),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return answers(tmp_path_factory.mktemp("plain"), {name: source for name, (source, _) in PLAIN.items()})


@pytest.mark.parametrize("name", PLAIN)
def test_plain_keras_of_keras_1_and_2_works_or_says_what_is_missing(plain, name):
    assert plain[0][name].partition(" (/")[0] == PLAIN[name][1]


def test_nothing_but_the_notes_is_written(plain):
    assert [
        line for line in plain[1].splitlines() if not line.startswith(("note: ", "line ")) and ", line " not in line
    ] == []


def test_the_notes_name_lines(plain):
    assert "dense.py, line 4: Dense(init='uniform') -> kernel_initializer" in plain[1]
    assert "decay.py, line 2: SGD(lr=1.0, decay=0.5) -> learning_rate=InverseTimeDecay" in plain[1]

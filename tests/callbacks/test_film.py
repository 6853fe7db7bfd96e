"""Films: what they contain when they are read back, and when they are not written."""

import functools
import itertools
import resource
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import rl.callbacks
from keras import layers
from PIL import Image

from kerasrl import DQNAgent, SequentialMemory, environments
from kerasrl.callbacks import Film
from kerasrl.environments import video
from kerasrl.errors import WriteError

ROOT = Path(__file__).parents[2]


class PictureEnv:
    """Episodes of given lengths, in turn; its pictures, of one grey each, count everything that happens."""

    render_mode = "rgb_array"

    def __init__(self, lengths=(10,), shape=(10, 10, 3), dtype=np.uint8, fps=25):
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": fps}
        self.lengths, self.shape, self.dtype = lengths, shape, dtype
        self.i, self.episode, self.nb_steps, self.reward = 0, -1, 0, 1.0

    def reset(self):
        self.i += 1
        self.episode += 1
        self.nb_steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.i += 1
        self.nb_steps += 1
        done = self.nb_steps == self.lengths[self.episode % len(self.lengths)]
        return np.zeros(2, np.float32), self.reward, done, False, {}

    def render(self):
        picture = np.full(self.shape, self.i * 10)
        return (picture / 255 if self.dtype is float else picture).astype(self.dtype)


@functools.cache
def agent_of(nb_inputs):
    model = keras.Sequential([keras.Input((1, nb_inputs)), layers.Flatten(), layers.Dense(2)])
    agent = DQNAgent(model=model, nb_actions=2, memory=SequentialMemory(limit=100), nb_steps_warmup=10**9)
    agent.compile("sgd", jit_compile=False)
    return agent


def play(env, *callbacks, nb_episodes=1, nb_inputs=2, **options):
    agent = agent_of(nb_inputs)
    return agent.test(env, nb_episodes, callbacks=callbacks, visualize=False, verbose=0, **options)


def read(path):
    """Return the pictures [H, W, 3] of a film, without the strip of text, and how many seconds each stays."""
    if path.suffix.lower() == ".gif":
        with Image.open(path) as image:
            assert image.info["loop"] == 0  # for ever
            pictures, durations = [], []
            for frame in range(image.n_frames):
                image.seek(frame)
                durations.append(image.info["duration"] / 1000)
                pictures.append(np.asarray(image.convert("RGB"))[video.STRIP :])
        return pictures, durations
    import av

    with av.open(path) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        pictures = [frame.to_ndarray(format="rgb24")[video.STRIP :] for frame in container.decode(stream)]
        return pictures, [1 / float(stream.average_rate)] * len(pictures)


@pytest.fixture(params=[".gif", ".mp4"])
def path(request, tmp_path):
    if request.param == ".mp4":
        pytest.importorskip("av")
    return tmp_path / f"film{request.param}"


@pytest.fixture
def gif(tmp_path):
    return tmp_path / "film.gif"


def alone(path):
    """Whether a film is the only file in its folder."""
    return list(path.parent.iterdir()) == [path]


@pytest.mark.long
def test_cartpole_at_natural_speed(path):
    env, drawn = environments.make("CartPole-v0", "rgb_array"), []
    env.reset(seed=0)
    render, env.render = env.render, lambda: drawn.append(render()) or drawn[-1]
    history = play(env, Film(path, env), nb_inputs=4)
    nb_steps = history.history["nb_steps"][0]
    pictures, durations = read(path)
    gif = path.suffix == ".gif"
    assert len(drawn) == 1 + (nb_steps // 2 if gif else nb_steps) + 1
    assert len(pictures) == len(drawn) + (0 if gif else 49)  # the last picture of an .mp4 is shown 50 times
    assert sum(durations) == pytest.approx((nb_steps + 1) / 50 + 1, abs=0.05)
    assert all(duration >= 0.02 for duration in durations)
    for shown, picture in zip([*pictures[: len(drawn) - 1], pictures[-1]], drawn, strict=True):
        assert shown.shape == (400, 600, 3)
        assert np.abs(shown.astype(int) - picture).mean() < 1
    moved = np.abs(pictures[0].astype(int) - pictures[-1])
    assert (moved > 100).any()  # the pole has fallen
    assert (moved[330:] < 10).all()
    assert path.stat().st_size < 1500 * len(drawn) + 20000
    assert alone(path)


def test_every_step_from_the_start_to_the_end_is_shown(gif):
    env = PictureEnv([3])
    play(env, Film(gif, env))
    pictures, durations = read(gif)
    assert [picture[0, 0, 0] for picture in pictures] == [10, 20, 30, 40, 40]
    assert durations == [0.04] * 4 + [1.0]


@pytest.mark.long
def test_an_mp4_shows_the_same(tmp_path):
    pytest.importorskip("av")
    env = PictureEnv([3])
    play(env, Film(tmp_path / "film.MP4", env))
    pictures, durations = read(tmp_path / "film.MP4")
    assert np.allclose([picture[99, 99, 0] for picture in pictures], [10, 20, 30, 40] + [40] * 25, atol=3)
    assert durations == [0.04] * 29


@pytest.mark.long
@pytest.mark.parametrize(("fps", "every"), [(15, 1), (30, 1), (50, 2), (60, 2), (500, 20), (None, 1)])
def test_a_gif_keeps_the_environments_speed_with_pictures_that_browsers_show_in_time(gif, fps, every):
    env = PictureEnv([40], fps=fps)
    play(env, Film(gif, env))
    durations = read(gif)[1]
    assert len(durations) == 1 + 40 // every + 1
    assert sum(durations[:-1]) == pytest.approx((40 // every + 1) * every / (fps or 10), abs=0.01)
    assert min(durations) >= 0.02


@pytest.mark.long
def test_each_repetition_of_an_action_and_each_start_step_is_shown(gif, monkeypatch):
    env = PictureEnv([6])
    monkeypatch.setattr(np.random, "randint", lambda most: most)
    play(env, Film(gif, env), action_repetition=2, nb_max_start_steps=3, start_step_policy=lambda observation: 0)
    assert [picture[0, 0, 0] for picture in read(gif)[0]] == [10, 20, 30, 40, 50, 60, 70, 70]


def test_as_many_episodes_as_asked_for(gif):
    env = PictureEnv([2, 1, 3])
    play(env, Film(gif, env, nb_episodes=2), nb_episodes=3)
    pictures, durations = read(gif)
    assert [picture[0, 0, 0] for picture in pictures] == [10, 20, 30, 30, 40, 50, 50]
    assert durations == [0.04, 0.04, 0.04, 1.0, 0.04, 0.04, 1.0]


@pytest.fixture
def texts(monkeypatch):
    """What the strip says above each picture."""
    said, add = [], video.VideoFile.add
    monkeypatch.setattr(video.VideoFile, "add", lambda self, *args: (said.append(args[1]), add(self, *args)))
    return said


@pytest.mark.long
def test_the_strip_says_episode_step_and_reward(path, texts):
    env = PictureEnv([2, 1])
    env.reward = np.float32(-0.4)
    play(env, Film(path, env, nb_episodes=2), nb_episodes=2)
    first = ["step 0   reward 0", "step 1   reward -0.4", "step 2   reward -0.8", "step 2   reward -0.8"]
    second = ["step 0   reward 0", "step 1   reward -0.4", "step 1   reward -0.4"]
    assert texts == [f"episode 1   {text}" for text in first] + [f"episode 2   {text}" for text in second]


def test_steps_and_rewards_are_those_of_the_agent(gif, texts):
    env = PictureEnv([4])
    env.reward = 1000.0
    play(env, Film(gif, env, title="after 500 steps"), action_repetition=2)
    assert [text.removeprefix("after 500 steps   ") for text in texts] == [
        "step 0   reward 0",
        "step 0   reward 0",  # the first of two repetitions
        "step 1   reward 2,000",
        "step 1   reward 2,000",
        "step 2   reward 4,000",
        "step 2   reward 4,000",
    ]


@pytest.mark.parametrize("shape", [(10, 10, 3), (256, 256, 3), (300, 30, 3), (60, 600, 3)])
def test_the_text_is_never_cut(gif, shape):
    env = PictureEnv([3], shape)
    env.reward = -1111.11
    play(env, Film(gif, env, title="after 100,000,000 steps"))
    with Image.open(gif) as image:
        for frame in range(image.n_frames):
            image.seek(frame)
            strip = np.asarray(image.convert("L"))[: video.STRIP]
            beside = np.hstack([strip[:, : video.MARGIN], strip[:, -video.MARGIN :]])
            assert (strip > 150).any() and (beside < 50).all() and (strip[[0, -1]] < 50).all()


def test_the_strip_changes_with_each_step(gif):
    env = PictureEnv([3])
    env.render = lambda: np.zeros((10, 10, 3))
    play(env, Film(gif, env))
    with Image.open(gif) as image:
        strips = [np.asarray((image.seek(frame), image.convert("RGB"))[1])[: video.STRIP] for frame in range(5)]
    assert [(strip != before).any() for before, strip in itertools.pairwise(strips)] == [1, 1, 1, 0]


def test_a_film_may_be_made_again(gif):
    env = PictureEnv([2, 1])
    film = Film(gif, env)
    for nb_pictures in (4, 3):
        play(env, film)
        assert len(read(gif)[0]) == nb_pictures


@pytest.mark.long
@pytest.mark.parametrize(
    ("shape", "size"),
    [((10, 10, 3), (480, 480)), ((210, 160, 3), (420, 320)), ((400, 600, 3), (400, 600)), ((720, 1280, 3), (360, 640)),
     ((99, 641, 3), (50, 320)), ((300, 30, 3), (300, 240)), ((84, 84), (420, 420)), ((5, 7, 4), (340, 476))],
)  # fmt: skip
def test_small_pictures_are_enlarged_and_large_ones_reduced(path, shape, size):
    env = PictureEnv([1], shape)
    play(env, Film(path, env))
    assert read(path)[0][0].shape == (*size, 3)


def test_enlarged_pixels_stay_sharp(gif):
    env = PictureEnv([1])
    env.render = lambda: np.eye(10)[:, :, None].repeat(3, 2)
    play(env, Film(gif, env))
    assert (read(gif)[0][0][24::48, 24::48, 0] == 255 * np.eye(10)).all()
    assert np.isin(read(gif)[0][0], [0, 255]).all()


@pytest.mark.parametrize("dtype", [float, np.float32, np.int64])
def test_pictures_of_numbers_are_understood(gif, dtype):
    env = PictureEnv([2], dtype=float if dtype is not np.int64 else dtype)
    play(env, Film(gif, env))
    assert np.allclose([picture[0, 0, 0] for picture in read(gif)[0]], [10, 20, 30, 30], atol=1)


@pytest.mark.long
def test_many_colours_stay_close(gif):
    env = PictureEnv([2])
    drawn = np.stack(np.meshgrid(*[np.linspace(0, 255, 480)] * 2), -1).astype(np.uint8)
    env.render = lambda: np.concatenate([drawn, drawn[:, :, :1] // 2 + env.i], 2)
    play(env, Film(gif, env))
    assert np.abs(read(gif)[0][0].astype(int)[:, :, :2] - drawn).mean() < 16


@pytest.mark.long
def test_pictures_go_to_the_file_as_they_come(path):
    env, sizes, random = PictureEnv([90]), [], np.random.default_rng(0)
    env.render = lambda: 30 * random.integers(0, 9, (250, 250), np.uint8)

    class Sizes(rl.callbacks.Callback):
        def on_step_end(self, step, logs=None):
            sizes.append(sum(file.stat().st_size for file in path.parent.iterdir()))

    play(env, Film(path, env), Sizes())
    assert alone(path)
    assert sizes[-1] > 0.4 * path.stat().st_size


def test_a_film_that_disappeared_is_left_out_of_those_strung_together(gif):
    env = PictureEnv([2])
    play(env, Film(gif, env))
    together = gif.with_name("together.gif")
    video.string_together([gif.with_name("gone.gif")], together)
    assert not together.exists()
    video.string_together([gif, gif.with_name("gone.gif"), gif], together)
    assert [len(part) for part in read(together)] == [8, 8]
    assert np.array_equal(read(together)[0], 2 * read(gif)[0])


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt()])
def test_a_run_that_fails_leaves_the_earlier_film(path, error):
    path.write_bytes(b"before")
    env = PictureEnv([2, 9])
    step = env.step

    def fail(action):
        if env.nb_steps == 4:
            raise error
        return step(action)

    env.step = fail
    with pytest.raises(type(error)):
        play(env, Film(path, env, nb_episodes=2), nb_episodes=2)
    assert path.read_bytes() == b"before"
    assert alone(path)


@pytest.mark.long
def test_a_full_disk_is_named_and_leaves_nothing(path):
    env, random = PictureEnv([90]), np.random.default_rng(0)
    env.render = lambda: 30 * random.integers(0, 9, (250, 250), np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(WriteError) as caught:
            play(env, Film(path, env))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(path)
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("picture", [None, [], "text", np.zeros((3, 10, 10))])
def test_what_is_not_a_picture_is_refused(gif, picture, refused):
    env = PictureEnv()
    env.render = lambda: picture
    with refused("render()"):
        play(env, Film(gif, env))
    assert not list(gif.parent.iterdir())


@pytest.mark.parametrize("name", ["film.avi", "film", "missing/film.gif", "file/film.gif", "folder.gif"])
def test_a_path_that_cannot_be_a_film_is_refused(tmp_path, name, refused):
    (tmp_path / "folder.gif").mkdir()
    (tmp_path / "file").touch()
    with refused(tmp_path / Path(name).parts[0]):
        Film(tmp_path / name, PictureEnv())


def test_an_mp4_without_its_package_says_what_to_install(tmp_path, monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "av", None)
    with refused("film.mp4", '".[video]"'):
        video.check_path(tmp_path / "film.mp4")


def test_environments_that_do_not_draw_are_refused(gif, refused):
    silent = PictureEnv()
    silent.metadata = {"render_modes": ["human"]}
    for env, name in ((environments.make("CartPole-v0"), "CartPole-v0"), (silent, "PictureEnv")):
        with refused(name):
            Film(gif, env)


@pytest.mark.long
def test_what_cannot_be_filmed_is_found_without_tensorflow():
    check = "from kerasrl.environments import video; import sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0

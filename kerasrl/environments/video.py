"""Films, .gif or .mp4, picture by picture; without TensorFlow, so that one that cannot be made is refused at once."""

import contextlib
import math
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.GifImagePlugin import getdata, getheader

from kerasrl.errors import UserError
from kerasrl.phrases import to_install
from kerasrl.storage.files import naming, replacing, require_place, write_whole

RATES = {".gif": 25, ".mp4": 50}  # pictures per second to aim for; browsers slow down a .gif with more than 50
ENLARGED, LONGEST = 480, 640  # pixels of the longer side: what small pictures are enlarged to, and its maximum
STRIP, NARROWEST = 24, 240  # pixels: height of the strip of text above the pictures, and a film's minimum width
LETTERS, MARGIN = 16, 8  # pixels: size of the text, which shrinks rather than being cut off, and the space beside it
_AGAIN = b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"  # stands before a .gif's pictures: begin again at the end


def check_path(path: str | os.PathLike[str]) -> None:
    """Raise `UserError` unless a film can be written to `path`."""
    target = Path(path)
    if target.suffix.lower() not in RATES:
        raise UserError(f"{target} is not a film: name a file that ends in .gif or .mp4")
    if target.suffix.lower() == ".mp4":
        try:
            import av as av  # an extra
        except ImportError:
            raise UserError(f"{target} needs a package for .mp4: {to_install('video')}, or name a .gif") from None
    require_place(target)


class VideoFile:
    """A film, written beside `path` and renamed over it by `close`; `discard` removes it instead.

    Args:
        path: File that ends in .gif or .mp4.
        rate: Pictures per second at natural speed; the caller should add one of every `every`.
        comment: What the file says about itself.

    Raises:
        UserError: See `check_path`; or what is added is not a picture.
        WriteError: The file cannot be written, whatever the call.
    """

    def __init__(self, path: str | os.PathLike[str], rate: float, comment: str = "") -> None:
        check_path(path)
        self.path = Path(path)
        suffix = self.path.suffix.lower()
        self.every = max(1, round(rate / RATES[suffix]))
        self.rate = rate / self.every
        self._size: tuple[int, int] | None = None
        self._unfinished = contextlib.ExitStack()
        file = self._unfinished.enter_context(replacing(self.path))
        self._encoder = (_Gif if suffix == ".gif" else _Mp4)(file, self.rate, comment)

    def add(self, picture: Any, text: str, seconds: float | None = None) -> None:
        """Add a picture [H, W, 3], [H, W, 4] or [H, W] of bytes or of floats in [0, 1], with one line of text above it.

        It is shown for `seconds`; None is the time of one picture.
        """
        image = _image(picture)
        if self._size is None:
            self._size = _size(image)
        image = _below(text, image.resize(self._size, Image.Resampling.BOX))  # enlarged pixels stay sharp
        with naming(self.path):
            self._encoder.add(image, 1 if seconds is None else max(1, round(seconds * self.rate)))

    def close(self) -> None:
        """Finish the film and put it in its place; if it cannot be written, what was there stays."""
        with self._unfinished:
            self._encoder.close()

    def discard(self) -> None:
        """Leave no trace of the unfinished film."""
        with contextlib.suppress(Exception):
            self._encoder.close()
        with contextlib.suppress(OSError), self._unfinished:
            raise InterruptedError  # keeps it from replacing what is there


def string_together(parts: Iterable[str | os.PathLike[str]], path: str | os.PathLike[str]) -> None:
    """Write a .gif that shows the .gif files in `parts`, by `VideoFile`, one after another; missing ones are left out.

    Their pictures are copied as they are: decoding and encoding them again takes Pillow a hundred times as long.
    Raises WriteError if the file cannot be written.
    """
    films = []
    for part in parts:
        with contextlib.suppress(FileNotFoundError):
            films.append(Path(part).read_bytes().partition(_AGAIN))
    if films:
        head = films[0][0]
        write_whole(path, b"".join([head, _AGAIN, *(pictures[:-1] for _, _, pictures in films), b";"]))


class _Gif:
    """Each picture with its own palette, and only the pixels that differ from the one before."""

    def __init__(self, file: IO[bytes], rate: float, comment: str) -> None:
        self.file, self.rate, self.comment = file, rate, comment
        self.nb_added = 0
        self.before: np.ndarray[Any, Any] | None = None  # [H, W, 3]

    def add(self, image: Image.Image, nb_times: int) -> None:
        begin = round(100 * self.nb_added / self.rate)  # a .gif counts in hundredths of a second
        self.nb_added += nb_times
        milliseconds = 10 * (round(100 * self.nb_added / self.rate) - begin)
        pixels = np.asarray(image)
        changed = np.ones(pixels.shape[:2], bool) if self.before is None else (pixels != self.before).any(2)  # [H, W]
        if not changed.any():
            changed[0, 0] = True  # a picture cannot be empty
        colours = Image.fromarray(pixels[changed][np.newaxis]).quantize(63, dither=Image.Dither.NONE)
        transparent = int(np.asarray(colours).max()) + 1
        indices = np.full(changed.shape, transparent, np.uint8)
        indices[changed] = np.asarray(colours)[0]
        whole = Image.fromarray(indices)
        whole.putpalette([*(colours.getpalette() or [])[: 3 * transparent], 0, 0, 0])
        box = Image.fromarray(changed).getbbox() or (0, 0, *image.size)
        if self.before is None:
            self.file.writelines(getheader(whole.copy(), info={"loop": 0, "comment": self.comment})[0])
        options = {"duration": milliseconds, "include_color_table": True, "transparency": transparent}
        self.file.writelines(getdata(whole.crop(box), box[:2], **options))
        self.before = pixels

    def close(self) -> None:
        self.file.write(b";")


class _Mp4:
    """H.264, which every browser plays."""

    def __init__(self, file: IO[bytes], rate: float, comment: str) -> None:
        import av

        self.frame = av.VideoFrame.from_image
        self.container = av.open(file, "w", format="mp4")
        self.container.metadata["comment"] = comment
        self.stream: Any = self.container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000))
        self.stream.pix_fmt = "yuv420p"
        self.nb_added = 0

    def add(self, image: Image.Image, nb_times: int) -> None:
        if self.nb_added == 0:
            self.stream.width, self.stream.height = image.size
        for _ in range(nb_times):
            self.nb_added += 1
            self.container.mux(self.stream.encode(self.frame(image)))  # type: ignore[no-untyped-call]

    def close(self) -> None:
        try:
            if self.nb_added:
                self.container.mux(self.stream.encode())
        finally:
            self.container.close()


def _image(picture: Any) -> Image.Image:
    array = np.asarray(picture)
    if array.dtype.kind not in "biuf" or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise UserError(
            f"the environment cannot be filmed: its render() returns {type(picture).__name__} {array.shape}, not an "
            "array [H, W, 3]; leave out the film"
        )
    if array.dtype.kind in "bf":  # MinAtar draws in floats
        array = array * 255.0
    return Image.fromarray(array.astype(np.uint8)).convert("RGB")


def _below(text: str, image: Image.Image) -> Image.Image:
    width = max(image.width, NARROWEST)
    whole = Image.new("RGB", (width, STRIP + image.height), (32, 32, 32))
    for size in range(LETTERS, 0, -1):
        font = ImageFont.load_default(size)
        if font.getlength(text) <= width - 2 * MARGIN:
            break
    ImageDraw.Draw(whole).text((MARGIN, STRIP // 2), text, (255, 255, 255), font, anchor="lm")
    whole.paste(image, ((width - image.width) // 2, STRIP))
    return whole


def _size(image: Image.Image) -> tuple[int, int]:
    """Return the width and height of a film's pictures: even numbers, as H.264 wants them."""
    longest = max(image.size)
    scale = max(1, ENLARGED // longest) / math.ceil(longest / LONGEST)
    width, height = (max(2, 2 * round(side * scale / 2)) for side in image.size)
    return width, height

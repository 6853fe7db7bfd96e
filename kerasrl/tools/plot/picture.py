"""What a notebook shows of a picture that was drawn."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    _Base = Path
else:
    _Base = type(Path())  # before Python 3.12, only the class of this system's paths can be derived from


class Picture(_Base):
    """The path of a picture. A notebook shows the picture, if it is a .png or .svg."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]] | None:
        """Return the picture, shown at half its size so that it is sharp on any screen."""
        if self.suffix.lower() != ".png" or not self.is_file():
            return None
        from PIL import Image

        with Image.open(self) as picture, io.BytesIO() as small:
            picture.convert("RGB").quantize(64).save(small, "png", optimize=True)  # it is stored in the notebook
            return small.getvalue(), {"width": picture.width // 2}

    def _repr_svg_(self) -> str | None:
        return self.read_text(encoding="utf-8") if self.suffix.lower() == ".svg" and self.is_file() else None

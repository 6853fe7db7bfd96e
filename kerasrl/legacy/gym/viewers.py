"""gym.envs.classic_control.rendering, which drew with pyglet until gym 0.21, drawn with pygame.

Lengths are in pixels, angles in radians, colours in [0, 1]; y points up. Without a screen no window is opened, but
pictures are still available as arrays.
"""

# Functions and methods are gym's.
# ruff: noqa: D102, D103

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pygame

from kerasrl.environments.rendering import show
from kerasrl.legacy.gym.making import can_be_shown

RAD2DEG = 180 / math.pi
Matrix = np.ndarray[Any, Any]  # [3, 3]


class Attr:
    """What changes how a shape is drawn; only transforms and colours have an effect here."""

    def enable(self) -> None:
        """Do nothing: shapes ask for it."""

    disable = enable


class Transform(Attr):
    """Rotate by `rotation`, scale, then move."""

    def __init__(self, translation: Any = (0.0, 0.0), rotation: float = 0.0, scale: Any = (1, 1)) -> None:
        self.set_translation(*translation)
        self.set_rotation(rotation)
        self.set_scale(*scale)

    def set_translation(self, newx: float, newy: float) -> None:
        self.translation = (float(newx), float(newy))

    def set_rotation(self, new: float) -> None:
        self.rotation = float(new)

    def set_scale(self, newx: float, newy: float) -> None:
        self.scale = (float(newx), float(newy))

    def matrix(self) -> Matrix:
        """Return the matrix that moves [x, y, 1]."""
        sine, cosine = math.sin(self.rotation), math.cos(self.rotation)
        turned = np.array([[cosine, -sine, self.translation[0]], [sine, cosine, self.translation[1]], [0, 0, 1]])
        return turned @ np.diag([*self.scale, 1.0])


class Color(Attr):
    """A colour: red, green, blue, opacity."""

    def __init__(self, vec4: Sequence[float]) -> None:
        self.vec4 = vec4


class LineWidth(Attr):
    """The width of lines."""

    def __init__(self, stroke: float) -> None:
        self.stroke = stroke


class Geom:
    """A shape: points, a colour, and transforms, of which the last one added acts last."""

    is_filled, is_closed = False, False

    def __init__(self, v: Sequence[Any] = ()) -> None:
        self.v = v
        self._color = Color((0.0, 0.0, 0.0, 1.0))
        self.attrs: list[Any] = [self._color]
        self.linewidth = LineWidth(1)

    def set_color(self, r: float, g: float, b: float, alpha: float = 1.0) -> None:
        self._color.vec4 = (r, g, b, alpha)

    def add_attr(self, attr: Any) -> None:
        self.attrs.append(attr)

    def set_linewidth(self, x: float) -> None:
        self.linewidth.stroke = x

    def draw(self, surface: Any, outer: Matrix) -> None:
        """Draw on a pygame surface; `outer` maps to its pixels."""
        for attr in reversed(self.attrs):
            if isinstance(attr, Transform):
                outer = outer @ attr.matrix()
        self.draw_moved(surface, outer)

    def draw_moved(self, surface: Any, matrix: Matrix) -> None:
        """Draw with all transforms in one matrix."""
        points = [tuple((matrix @ (float(x), float(y), 1.0))[:2]) for x, y in self.v]
        colour = [int(255 * min(max(part, 0.0), 1.0)) for part in self._color.vec4[:3]]
        if len(points) < 2:
            surface.fill(colour, (*points[0], 1, 1)) if points else None
        elif self.is_filled and len(points) > 2:
            pygame.draw.polygon(surface, colour, points)
        else:
            pygame.draw.lines(surface, colour, self.is_closed, points, max(1, int(self.linewidth.stroke)))


class Point(Geom):
    """The point (0, 0), which a transform moves."""

    def __init__(self) -> None:
        super().__init__([(0.0, 0.0)])


class FilledPolygon(Geom):
    """A filled polygon."""

    is_filled = is_closed = True


class PolyLine(Geom):
    """Lines from point to point, and back to the first one if `close`."""

    def __init__(self, v: Sequence[Any], close: bool) -> None:
        super().__init__(v)
        self.is_closed = close


class Line(Geom):
    """One line; `start` and `end` may be changed."""

    def __init__(self, start: Any = (0.0, 0.0), end: Any = (0.0, 0.0)) -> None:
        super().__init__()
        self.start, self.end = start, end

    def draw_moved(self, surface: Any, matrix: Matrix) -> None:
        self.v = (self.start, self.end)
        super().draw_moved(surface, matrix)


class Compound(Geom):
    """Several shapes, drawn together in one colour."""

    def __init__(self, gs: Sequence[Geom]) -> None:
        super().__init__()
        self.gs = gs
        for shape in gs:
            shape._color = self._color

    def draw_moved(self, surface: Any, matrix: Matrix) -> None:
        for shape in self.gs:
            shape.draw(surface, matrix)


class Image(Geom):
    """A picture from a file, centred at (0, 0)."""

    def __init__(self, fname: str, width: float, height: float) -> None:
        super().__init__()
        self.width, self.height = width, height
        self.picture = pygame.transform.scale(pygame.image.load(fname), (int(width), int(height)))

    def draw_moved(self, surface: Any, matrix: Matrix) -> None:
        angle = RAD2DEG * math.atan2(-matrix[1, 0], matrix[0, 0])
        turned = pygame.transform.rotate(self.picture, angle)
        surface.blit(turned, turned.get_rect(center=tuple(matrix[:2, 2])))


def make_circle(radius: float = 10, res: int = 30, filled: bool = True) -> Geom:
    angles = [2 * math.pi * i / res for i in range(res)]
    return make_polygon([(radius * math.cos(angle), radius * math.sin(angle)) for angle in angles], filled)


def make_polygon(v: Sequence[Any], filled: bool = True) -> Geom:
    return FilledPolygon(v) if filled else PolyLine(v, True)


def make_polyline(v: Sequence[Any]) -> Geom:
    return PolyLine(v, False)


def make_capsule(length: float, width: float) -> Geom:
    """Return a bar from (0, 0) to (length, 0) with round ends."""
    bar = make_polygon([(0, -width / 2), (0, width / 2), (length, width / 2), (length, -width / 2)])
    ends = [make_circle(width / 2), make_circle(width / 2)]
    ends[1].add_attr(Transform(translation=(length, 0)))
    return Compound([bar, *ends])


class _Window:
    isopen: bool

    def close(self) -> None:
        if self.isopen and pygame.display.get_init():
            pygame.display.quit()
        self.isopen = False


class Viewer(_Window):
    """A picture of shapes, in a window or as an array."""

    def __init__(self, width: int, height: int, display: str | None = None) -> None:
        self.width, self.height = int(width), int(height)
        self.geoms: list[Geom] = []
        self.onetime_geoms: list[Geom] = []
        self.transform = Transform()
        self.isopen = True

    def set_bounds(self, left: float, right: float, bottom: float, top: float) -> None:
        """Choose which part of the plane is shown."""
        x, y = self.width / (right - left), self.height / (top - bottom)
        self.transform = Transform(translation=(-left * x, -bottom * y), scale=(x, y))

    def add_geom(self, geom: Geom) -> None:
        self.geoms.append(geom)

    def add_onetime(self, geom: Geom) -> None:
        self.onetime_geoms.append(geom)

    def render(self, return_rgb_array: bool = False) -> Any:
        """Draw; return an array [H, W, 3] if that is wanted, else whether the window is open."""
        picture = self.get_array()
        self.onetime_geoms = []
        if return_rgb_array:
            return picture
        if can_be_shown():
            show(picture, enlarged=1)
        return self.isopen

    def get_array(self) -> Any:
        """Return the picture as an array [H, W, 3]."""
        surface = pygame.Surface((self.width, self.height))
        surface.fill((255, 255, 255))
        upwards = np.array([[1.0, 0, 0], [0, -1.0, self.height], [0, 0, 1]])
        for shape in [*self.geoms, *self.onetime_geoms]:
            shape.draw(surface, upwards @ self.transform.matrix())
        return pygame.surfarray.array3d(surface).swapaxes(0, 1)

    def draw_circle(self, radius: float = 10, res: int = 30, filled: bool = True, **attrs: Any) -> Geom:
        return self._once(make_circle(radius, res, filled), attrs)

    def draw_polygon(self, v: Sequence[Any], filled: bool = True, **attrs: Any) -> Geom:
        return self._once(make_polygon(v, filled), attrs)

    def draw_polyline(self, v: Sequence[Any], **attrs: Any) -> Geom:
        return self._once(make_polyline(v), attrs)

    def draw_line(self, start: Any, end: Any, **attrs: Any) -> Geom:
        return self._once(Line(start, end), attrs)

    def _once(self, shape: Geom, attrs: dict[str, Any]) -> Geom:
        if "color" in attrs:
            shape.set_color(*attrs["color"])
        shape.set_linewidth(attrs.get("linewidth", 1))
        self.add_onetime(shape)
        return shape


class SimpleImageViewer(_Window):
    """A window that shows arrays [H, W, 3]."""

    def __init__(self, display: Any = None, maxwidth: int = 500) -> None:
        self.isopen, self.maxwidth = False, maxwidth

    def imshow(self, arr: Any) -> None:
        if can_be_shown():
            self.isopen = True
            show(np.asarray(arr), enlarged=1)

"""Line plots of the report as inline SVG: no script, nothing loaded, colours from the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 560, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 16, 40
_TICKS = 5


@dataclass(frozen=True)
class Line:
    """One curve; ``css`` names its colour and dashes in the style sheet, ``name`` stands at it."""

    name: str
    css: str
    x: Sequence[float]
    y: Sequence[float]
    marks: Sequence[bool] = ()
    """Points that are marked with a ring."""


def line_plot(lines: Sequence[Line], x_label: str, y_label: str, least_high: float = 0.0) -> Markup:
    """The plot. It reads in one colour too: curves differ in their dashes.

    The axis reaches ``least_high`` at least, so that what is small looks small.
    """
    scale = _Scale.about(lines, least_high)
    parts = [
        *scale.grid(x_label, y_label),
        *(part for line in lines for part in scale.line(line)),
        *scale.legend(lines),
    ]
    body = Markup("\n").join(parts)
    title = escape(f"{y_label} over {x_label}")
    return Markup(
        '<svg class="plot" viewBox="0 0 {w} {h}" role="img" aria-label="{title}">\n{body}\n</svg>'
    ).format(w=_WIDTH, h=_HEIGHT, title=title, body=body)


@dataclass(frozen=True)
class _Scale:
    """From values to points of the drawing."""

    x: tuple[float, float]
    y: tuple[float, float]
    x_step: float
    y_step: float

    @staticmethod
    def about(lines: Sequence[Line], least_high: float) -> _Scale:
        """A scale that holds every curve."""
        xs = [x for line in lines for x in line.x] or [0.0, 1.0]
        ys = [y for line in lines for y in line.y] or [0.0, 1.0]
        low, high = min(0.0, *ys), max(*ys, least_high, 1e-6)
        x_step, y_step = _nice(max(xs) - min(xs)), _nice(high - low)
        y_range = (floor(low / y_step) * y_step, ceil(high * 1.02 / y_step) * y_step)
        return _Scale((min(xs), max(max(xs), min(xs) + 1e-6)), y_range, x_step, y_step)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A point of the drawing."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return round(_LEFT + across * width, 1), round(_TOP + (1 - up) * height, 1)

    def grid(self, x_label: str, y_label: str) -> list[Markup]:
        """Axes, marks and their names."""
        parts = []
        for y in _steps(self.y, self.y_step):
            left, right = self.at(self.x[0], y), self.at(self.x[1], y)
            parts += [
                _segment(left, right, "grid"),
                _text(left[0] - 6, left[1] + 4, f"{y:g}", "end"),
            ]
        bottom = _HEIGHT - _BOTTOM
        for x in _steps(self.x, self.x_step):
            parts.append(_text(self.at(x, 0)[0], bottom + 16, f"{x:g}", "middle"))
        parts.append(_segment((_LEFT, bottom), (_WIDTH - _RIGHT, bottom), "axis"))
        parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, x_label, "middle"))
        turned = Markup('<text class="name" text-anchor="middle" transform="rotate(-90)" ')
        place = Markup('x="{x}" y="13">{text}</text>').format(x=-(_TOP + bottom) / 2, text=y_label)
        return [*parts, turned + place]

    def line(self, line: Line) -> list[Markup]:
        """The curve and its marked points."""
        places = [self.at(x, y) for x, y in zip(line.x, line.y, strict=True)]
        points = " ".join(f"{x},{y}" for x, y in places)
        curve = Markup('<polyline class="{css}" points="{points}"/>')
        rings = [
            Markup('<circle class="{css}" cx="{x}" cy="{y}" r="4"/>').format(css=line.css, x=x, y=y)
            for (x, y), is_marked in zip(places, line.marks or [False] * len(places), strict=True)
            if is_marked
        ]
        return [curve.format(css=line.css, points=points), *rings]

    def legend(self, lines: Sequence[Line]) -> list[Markup]:
        """A sample of each curve with its name, in the upper right corner."""
        parts = []
        for place, line in enumerate(lines):
            y = _TOP + 8 + 16 * place
            x = _WIDTH - _RIGHT - 34
            parts += [
                _segment((x, y), (x + 30, y), line.css),
                _text(x - 6, y + 4, line.name, "end"),
            ]
        return parts


def _nice(span: float) -> float:
    """A step of 1, 2 or 5 times a power of ten that parts a span into a few."""
    rough = max(span, 1e-6) / _TICKS
    power = 10.0 ** floor(log10(rough))
    return float(next(one * power for one in (1, 2, 5, 10) if one * power >= rough * 0.999))


def _steps(ends: tuple[float, float], step: float) -> list[float]:
    first, last = ceil(ends[0] / step - 1e-9), floor(ends[1] / step + 1e-9)
    return [round(n * step, 6) for n in range(first, last + 1)]


def _segment(start: tuple[float, float], end: tuple[float, float], css: str) -> Markup:
    line = Markup('<line class="{css}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>')
    return line.format(css=css, x1=start[0], y1=start[1], x2=end[0], y2=end[1])


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    made = Markup('<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>')
    return made.format(x=x, y=y, anchor=anchor, text=text)

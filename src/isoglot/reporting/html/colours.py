"""Colour scales of the report's heat maps, for light and dark pages, each with readable text.

A scale is a few anchor colours; the steps between are mixed in OKLab, where equal steps look equal
(Ottosson 2020, https://bottosson.github.io/posts/oklab/). Blue against orange is told apart with
every common kind of colour blindness. The contrast is that of WCAG 2.2; text needs 4.5.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["STEPS", "contrast", "diverging_step", "scale_css", "sequential_step"]

STEPS = 21
"""Steps of a scale; odd, so that the diverging ones have a middle."""

_SEQUENTIAL = {
    "light": ("#f3f7fa", "#b5d5e6", "#5ba3cb", "#1f6da3", "#0c3d63"),
    "dark": ("#1c232a", "#1f4257", "#27698f", "#56a5cf", "#bfe4f6"),
}
_DIVERGING = {
    "light": ("#a4470b", "#e59a5c", "#f6e3d3", "#f5f5f4", "#d4e4f0", "#6aabd3", "#155d95"),
    "dark": ("#f6b27a", "#c06f2c", "#5b3a1f", "#23282d", "#1f4257", "#3a86b4", "#a5d8f2"),
}
_INKS = ("#171b1f", "#ffffff", "#000000")

_Lab = tuple[float, float, float]


def sequential_step(value: float, top: float) -> int:
    """Return the step of a value on a scale from 0 to ``top``."""
    return round(min(max(value / top, 0.0), 1.0) * (STEPS - 1)) if top > 0 else 0


def diverging_step(value: float, bound: float) -> int:
    """Return the step of a value on a scale from ``-bound`` to ``bound``."""
    return sequential_step(value + bound, 2 * bound) if bound > 0 else STEPS // 2


def scale_css(theme: str) -> str:
    """Return the rules of the classes ``s0``, ... (sequential) and ``d0``, ... (diverging).

    Args:
        theme: ``"light"`` or ``"dark"``.
    """
    scales = {"s": _SEQUENTIAL[theme], "d": _DIVERGING[theme]}
    return "\n".join(
        f".{name}{step}{{background:{colour};color:{_ink(colour)}}}"
        for name, anchors in scales.items()
        for step, colour in enumerate(_mix(anchors))
    )


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21.

    >>> round(contrast("#000000", "#ffffff"), 6)
    21.0
    """
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _ink(background: str) -> str:
    """Return the first text colour that can be read; black or white always can (sqrt 21 > 4.5)."""
    best = max(_INKS[:2], key=lambda ink: contrast(ink, background))
    return best if contrast(best, background) >= 4.5 else _INKS[-1]


def _mix(anchors: Sequence[str]) -> list[str]:
    """Return ``STEPS`` colours through the anchors."""
    labs = [_to_lab(_linear(anchor)) for anchor in anchors]
    colours = []
    for step in range(STEPS):
        place = step / (STEPS - 1) * (len(labs) - 1)
        before = min(int(place), len(labs) - 2)
        share = place - before
        a, b = labs[before], labs[before + 1]
        colours.append(_hex(tuple(x + share * (y - x) for x, y in zip(a, b, strict=True))))
    return colours


def _luminance(colour: str) -> float:
    red, green, blue = _linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(colour: str) -> _Lab:
    """Return the linear light of ``#rrggbb``: red, green, blue in 0..1."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return red, green, blue


def _to_lab(rgb: _Lab) -> _Lab:
    r, g, b = rgb
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    medium = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _hex(lab: tuple[float, ...]) -> str:
    lightness, a, b = lab
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{_byte(part):02x}" for part in linear)


def _byte(linear: float) -> int:
    linear = min(max(linear, 0.0), 1.0)
    return round(
        255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055)
    )

"""How figures are written in the report: short, aligned, with a true minus."""

from __future__ import annotations

__all__ = ["NONE", "count", "decimal", "interval", "percent", "places", "signed"]

NONE = "–"
"""Stands where there is no figure."""
_THIN_SPACE = "\u202f"
_MINUS = "\u2212"


def decimal(value: float | None, digits: int = 3) -> str:
    """Return a figure that is mostly below 1, without the 0 before the point.

    >>> decimal(0.6533), decimal(1.0), decimal(-0.397), decimal(None)
    ('.653', '1.000', '−.397', '–')
    """
    if value is None:
        return NONE
    text = f"{abs(value):.{digits}f}"
    # What rounds to zero has no sign.
    sign = _MINUS if value < 0 and float(text) else ""
    return sign + text.removeprefix("0")


def signed(value: float | None, digits: int = 3) -> str:
    """Return a difference with its sign.

    >>> signed(0.0071), signed(-0.02), signed(0.0)
    ('+.007', '−.020', '.000')
    """
    text = decimal(value, digits)
    return text if value is None or value <= 0 or not float(text) else f"+{text}"


def percent(value: float | None) -> str:
    r"""Return a share of 1 in whole percent.

    >>> percent(0.091), percent(0.001)
    ('9\u202f%', '<1\u202f%')
    """
    if value is None:
        return NONE
    number = "<1" if 0 < value < 0.005 else f"{100 * value:.0f}"
    return f"{number}{_THIN_SPACE}%"


def count(value: float | None) -> str:
    """Return a whole number with separators: ``13,090``."""
    return NONE if value is None else f"{value:,.0f}"


def places(value: float | None) -> str:
    """Return a number of ranks: with one decimal below 100, unless it is whole.

    >>> places(4017.78), places(20.49), places(10.0)
    ('4,018', '20.5', '10')
    """
    if value is None or value >= 100 or value == round(value):
        return count(value)
    return f"{value:.1f}"


def interval(bounds: tuple[float, float] | None, *, sign: bool = False) -> str:
    """Return the two ends of an interval, or nothing.

    >>> interval((0.6451, 0.6617)), interval((-0.001, 0.012), sign=True)
    ('.645 to .662', '−.001 to +.012')
    """
    show = signed if sign else decimal
    return f"{show(bounds[0])} to {show(bounds[1])}" if bounds else ""

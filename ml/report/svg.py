"""Inline SVG: escaped text, scales, axes, and a figure with its text alternative."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

INK, SOFT, LINE = "#1f2933", "#52606d", "#d5dce3"

# Okabe and Ito's palette, darkened where too pale on white; markers tell arms apart without colour.
PALETTE = ("#0072b2", "#c04f00", "#007f5f", "#8e4a9e", "#8a6d00", "#b0275f", "#30757f", "#5b5b5b")
DASHES = ("", "7 3", "2 3", "9 3 2 3")
ORACLE_COLOUR = "#1f2933"


@dataclass(frozen=True)
class Style:
    """How an arm is drawn, everywhere on the page."""

    colour: str
    dash: str = ""
    marker: str = "circle"


@dataclass(frozen=True)
class Scale:
    """A linear scale from data to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Pixel of a value; values outside are clipped to the ends."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def arm_styles(arms: Sequence[str]) -> dict[str, Style]:
    """One style an arm, in the study's order, and the oracle's."""
    styles: dict[str, Style] = {"oracle": Style(ORACLE_COLOUR, "5 4", "diamond")}
    markers = ("circle", "square", "triangle", "diamond")
    for i, arm in enumerate(arms):
        turn = i // len(PALETTE)
        styles[arm] = Style(PALETTE[i % len(PALETTE)], DASHES[turn % len(DASHES)], markers[i % len(markers)])
    return styles


def figure(
    name: str, *, width: float, height: float, title: str, description: str, body: Sequence[str]
) -> Markup:
    """A complete <svg> with role, title and description; `name` must be unique on the page."""
    ids = f"{escape(name)}-title {escape(name)}-desc"
    return Markup(
        f'<svg role="img" aria-labelledby="{ids}" viewBox="0 0 {width:g} {height:g}" '
        f'style="max-width:{1.2 * width:g}px" preserveAspectRatio="xMinYMin meet">'
        f'<title id="{escape(name)}-title">{escape(title)}</title>'
        f'<desc id="{escape(name)}-desc">{escape(description)}</desc>{"".join(body)}</svg>'
    )


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: float = 12,
    fill: str = SOFT,
    anchor: str = "start",
    weight: str = "",
    halo: bool = False,
) -> str:
    """One line of text; `halo` keeps it readable over lines."""
    bold = f' font-weight="{weight}"' if weight else ""
    outline = ' paint-order="stroke" stroke="#fff" stroke-width="4" stroke-linejoin="round"' if halo else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}" '
        f'text-anchor="{anchor}"{bold}{outline}>'
        f"{escape(words)}</text>"
    )


def line(
    x1: float, y1: float, x2: float, y2: float, *, stroke: str = LINE, width: float = 1, dash: str = ""
) -> str:
    """A straight line."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
        f'stroke-width="{width:g}"{dashes}/>'
    )


def polyline(points: Sequence[tuple[float, float]], style: Style, *, width: float = 2) -> str:
    """A line through points."""
    dashes = f' stroke-dasharray="{style.dash}"' if style.dash else ""
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{joined}" fill="none" stroke="{style.colour}" stroke-width="{width:g}" '
        f'stroke-linejoin="round" stroke-linecap="round"{dashes}/>'
    )


def rectangle(
    x: float, y: float, width: float, height: float, *, fill: str, stroke: str = "none", radius: float = 0
) -> str:
    """A box."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}" '
        f'fill="{fill}" stroke="{stroke}"/>'
    )


def marker(x: float, y: float, style: Style, *, size: float = 4) -> str:
    """The arm's marker, white-edged."""
    shapes = {
        "square": [(-1, -1), (1, -1), (1, 1), (-1, 1)],
        "triangle": [(0, -1.25), (1.15, 0.9), (-1.15, 0.9)],
        "diamond": [(0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)],
    }
    edge = f'fill="{style.colour}" stroke="#fff" stroke-width="1"'
    if style.marker not in shapes:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}" {edge}/>'
    corners = " ".join(f"{x + size * dx:.1f},{y + size * dy:.1f}" for dx, dy in shapes[style.marker])
    return f'<polygon points="{corners}" {edge}/>'


def axes(x: Scale, y: Scale, *, x_title: str, y_title: str, ticks: Sequence[float]) -> list[str]:
    """Grid, tick labels and axis titles; the same ticks on both axes."""
    parts: list[str] = []
    for tick in ticks:
        label = f"{tick:g}"
        parts.append(line(x.start, y(tick), x.end, y(tick), width=1 if tick > ticks[0] else 1.5))
        parts.append(line(x(tick), y.start, x(tick), y.end, width=1 if tick > ticks[0] else 1.5))
        parts.append(text(x.start - 8, y(tick) + 4, label, size=11.5, anchor="end"))
        parts.append(text(x(tick), y.start + 18, label, size=11.5, anchor="middle"))
    parts.append(text((x.start + x.end) / 2, y.start + 37, x_title, anchor="middle"))
    # The vertical title stands level above the axis: turned text is slow to read.
    parts.append(text(x.start - 30, y.end - 12, y_title))
    return parts

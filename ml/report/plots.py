"""The page's figures as inline SVG: curves, intervals, verdicts and the attrition flow."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd
from markupsafe import Markup

from ml.report.svg import (
    INK,
    SOFT,
    Scale,
    Style,
    axes,
    figure,
    line,
    marker,
    polyline,
    rectangle,
    text,
)

PANEL_WIDTH, PANEL_HEIGHT = 400.0, 400.0
# Axis up to this value, step of its ticks.
STEPS = ((0.1, 0.02), (0.3, 0.05), (0.6, 0.1), (1.0, 0.2))
CURVE_WORDS = {
    "roc": ("ROC curve", "1 \u2212 specificity", "Sensitivity"),
    "pr": ("Precision-recall curve", "Recall (sensitivity)", "Precision (share of true alarms)"),
    "calibration": ("Calibration, recalibrated scores", "Predicted risk", "Observed share"),
    "calibration_raw": ("Calibration, raw scores", "Predicted risk", "Observed share"),
}
PANEL_CAPTIONS = {
    "roc": "Closer to the upper left corner is better.",
    "pr": "Higher is better; the dotted line is the prevalence.",
    "calibration": "On the dotted line, predicted risk equals what happened. These scores are used.",
    "calibration_raw": "What the models said before recalibration on tuning.",
}


@dataclass(frozen=True)
class FlowBox:
    """One box of the attrition flow; numbers are already words, "hidden" where suppressed."""

    description: str
    entries: str
    detail: str
    left: str


def curve_panel(
    name: str,
    curve: str,
    curves: pd.DataFrame,
    styles: Mapping[str, Style],
    values: Mapping[str, float],
    *,
    prevalence: float | None,
) -> Markup | None:
    """One panel of one task: `roc`, `pr`, `calibration` or `calibration_raw`; None without a point.

    Args:
        name: unique on the page.
        curve: which.
        curves: the task's suppressed curves.
        styles: arm -> style.
        values: arm -> the number printed beside its name (AUROC or AUPRC); empty: names only.
        prevalence: drawn as the chance line of `pr`.
    """
    rows = cast(Any, curves)
    rows = rows[rows["curve"] == curve]
    # The oracle's raw and recalibrated scores are the same: it is drawn once.
    rows = rows if curve != "calibration_raw" else rows[rows["arm"] != "oracle"]
    arms = [arm for arm in styles if (rows["arm"] == arm).any()]
    if not arms:
        return None
    title, x_title, y_title = CURVE_WORDS[curve]
    calibrated = curve.startswith("calibration")
    top = _nice_top(max(rows["x"].max(), rows["y"].max())) if calibrated else 1.0
    x = Scale(0, top, 48, PANEL_WIDTH - 14)
    y = Scale(0, top, PANEL_HEIGHT - 50, 34)
    step = next(step for limit, step in STEPS if top <= limit)
    ticks = [round(step * i, 4) for i in range(round(top / step) + 1)]
    body = axes(x, y, x_title=x_title, y_title=y_title, ticks=ticks)
    if curve == "roc" or calibrated:
        body.append(line(x(0), y(0), x(top), y(top), stroke="#9aa5b1", dash="3 4", width=1.2))
    if curve == "pr" and prevalence is not None:
        body.append(line(x(0), y(prevalence), x(1), y(prevalence), stroke="#9aa5b1", dash="3 4", width=1.2))
        body.append(text(x(0) + 6, y(prevalence) - 6, f"prevalence {prevalence:.2f}", size=11.5, halo=True))
    for arm in reversed(arms):
        part = rows[rows["arm"] == arm]
        points = [(x(a), y(b)) for a, b in zip(part["x"], part["y"], strict=True)]
        body.append(polyline(points, styles[arm], width=1.6 if arm == "oracle" else 2.1))
        if calibrated:
            body += [marker(a, b, styles[arm]) for a, b in points]
    ordered = sorted(arms, key=lambda arm: -values.get(arm, math.inf)) if values else arms
    body += _direct_labels(ordered, styles, values, curve, x, y)
    listed = ", ".join(f"{arm} {values[arm]:.3f}" if arm in values else arm for arm in ordered)
    description = f"{title} on held-out data for {listed}. The numbers are in the results table."
    return figure(
        name, width=PANEL_WIDTH, height=PANEL_HEIGHT, title=title, description=description, body=body
    )


def interval_plot(
    name: str, rows: Sequence[tuple[str, float, float, float]], styles: Mapping[str, Style], *, title: str
) -> Markup | None:
    """AUROC of each arm with its 95% interval, the oracle dashed; rows are (arm, value, low, high)."""
    if not rows:
        return None
    arms = [row for row in rows if row[0] != "oracle"]
    ceiling = next((row[1] for row in rows if row[0] == "oracle"), None)
    low = min(0.5, *(math.floor(row[2] * 20) / 20 for row in rows))
    high = max(math.ceil(max(row[3] for row in rows) * 20) / 20, low + 0.1)
    width, step, top = 460.0, 34.0, 30.0
    bottom = top + step * len(arms)
    x = Scale(low, high, 26, width - 22)
    body: list[str] = []
    for tick in _ticks(low, high):
        body.append(line(x(tick), top - 6, x(tick), bottom))
        body.append(text(x(tick), bottom + 18, f"{tick:.2g}", size=11.5, anchor="middle"))
    if low <= 0.5:
        body.append(line(x(0.5), top - 6, x(0.5), bottom, stroke="#9aa5b1", width=1.5))
        body.append(text(x(0.5), bottom + 34, "chance", size=11.5, anchor="middle"))
    if ceiling is not None:
        body.append(line(x(ceiling), top - 10, x(ceiling), bottom, stroke=INK, dash="5 4", width=1.5))
        words = f"oracle {ceiling:.3f}"
        body.append(text(min(x(ceiling), width - 40), 14, words, anchor="middle", fill=INK))
    for i, (arm, value, lower, upper) in enumerate(sorted(arms, key=lambda row: -row[1])):
        style, level = styles[arm], top + step * i + 17
        words = f"{_short(arm)}  {value:.3f}"
        # Beside the interval, on the side with room: about 7 pixels a letter.
        if x(lower) - 12 > 7.3 * len(words):
            body.append(text(x(lower) - 10, level + 4, words, fill=style.colour, weight="600", anchor="end"))
        else:
            body.append(text(x(upper) + 12, level + 4, words, fill=style.colour, weight="600", halo=True))
        body.append(line(x(lower), level, x(upper), level, stroke=style.colour, width=2.5))
        body.append(marker(x(value), level, style, size=5.5))
    listed = "; ".join(f"{arm} {value:.3f} ({lower:.3f} to {upper:.3f})" for arm, value, lower, upper in rows)
    description = f"{title}, higher is better: {listed}."
    return figure(name, width=width, height=bottom + 42, title=title, description=description, body=body)


def verdict_plot(
    name: str,
    *,
    delta: float,
    inner: tuple[float, float],
    outer: tuple[float, float],
    margin: float,
    colour: str,
    names: tuple[str, str],
) -> Markup:
    """The difference with its 95% interval (thick) and the verdict's (thin), against 0 and the margin."""
    reach = 1.15 * max(abs(outer[0]), abs(outer[1]), 1.4 * margin)
    width = 460.0
    x = Scale(-reach, reach, 12, width - 12)
    shade = rectangle(x(-margin), 24, x(0) - x(-margin), 50, fill="#eef2f6")
    body = [shade, line(x(0), 18, x(0), 78, stroke=INK, width=1.5)]
    body.append(line(x(-margin), 18, x(-margin), 78, stroke="#9b1c1c", dash="4 3", width=1.5))
    body.append(line(x(outer[0]), 49, x(outer[1]), 49, stroke=colour, width=1.8))
    body.append(line(x(inner[0]), 49, x(inner[1]), 49, stroke=colour, width=5))
    body.append(marker(x(delta), 49, Style(colour, "", "circle"), size=7))
    body.append(text(x(0), 94, "0", anchor="middle", fill=INK))
    body.append(text(x(-margin), 94, f"\u2212{margin:g}", anchor="middle", fill="#9b1c1c"))
    body.append(text(12, 12, f"\u2190 {_short(names[1])} better", size=11.5))
    body.append(text(width - 12, 12, f"{_short(names[0])} better \u2192", size=11.5, anchor="end"))
    title = f"Difference of {names[0]} and {names[1]}"
    description = (
        f"Difference {delta:+.3f}, 95% interval {inner[0]:+.3f} to {inner[1]:+.3f}, interval of the verdict "
        f"{outer[0]:+.3f} to {outer[1]:+.3f}, margin {margin:g}."
    )
    return figure(name, width=width, height=100, title=title, description=description, body=body)


def attrition_flow(name: str, boxes: Sequence[FlowBox], *, title: str) -> Markup:
    """Boxes from the first record to the cohort, with what left beside each step; hidden counts are grey."""
    width, box, side = 400.0, 272.0, 300.0
    body: list[str] = []
    at = 4.0
    for i, one in enumerate(boxes):
        lines = textwrap.wrap(one.description, 36) or [""]
        height = 44 + 17 * len(lines) + (17 if one.detail else 0)
        last = i == len(boxes) - 1
        if i:
            body += _arrow(box / 2, at, at + 40)
            body.append(line(box / 2, at + 17, side - 10, at + 17, stroke="#9aa5b1", width=1.2))
            body.append(text(side - 4, at + 21, one.left, fill=SOFT, size=12.5))
            at += 40
        fill, edge = ("#e6f0f7", "#0072b2") if last else ("#fff", "#b8c4ce")
        body.append(rectangle(1, at, box, height, fill=fill, stroke=edge, radius=8))
        shade = INK if one.entries[:1].isdigit() else SOFT
        body.append(text(16, at + 28, one.entries, size=17, fill=shade, weight="600"))
        for n, words in enumerate(lines):
            body.append(text(16, at + 47 + 17 * n, words, size=12.5, fill=INK))
        if one.detail:
            body.append(text(16, at + 47 + 17 * len(lines), one.detail, size=12.5))
        at += height
    steps = ". ".join(
        f"{one.description}: {one.entries} ({one.left})" if one.left else f"{one.description}: {one.entries}"
        for one in boxes
    )
    return figure(name, width=width, height=at + 6, title=title, description=f"{steps}.", body=body)


def swatch(name: str, style: Style, arm: str) -> Markup:
    """The arm's line and marker for a table or legend."""
    body = [polyline([(1, 7), (25, 7)], style, width=2.5), marker(13, 7, style, size=4.5)]
    return figure(name, width=26, height=14, title=arm, description=f"Colour and marker of {arm}", body=body)


def _direct_labels(
    arms: Sequence[str],
    styles: Mapping[str, Style],
    values: Mapping[str, float],
    curve: str,
    x: Scale,
    y: Scale,
) -> list[str]:
    """Arm names in their colours, in the corner that the curve leaves free; calibration names none twice."""
    if curve.startswith("calibration") or len(arms) > 8:
        return []
    first = y.start - 14 - 17 * (len(arms) - 1) if curve == "roc" else y.end + 18
    parts: list[str] = []
    for i, arm in enumerate(arms):
        level = first + 17 * i
        words = f"{_short(arm)}  {values[arm]:.3f}" if arm in values else _short(arm)
        parts.append(
            text(x.end - 34, level, words, fill=styles[arm].colour, anchor="end", weight="600", halo=True)
        )
        parts.append(polyline([(x.end - 28, level - 4), (x.end - 6, level - 4)], styles[arm], width=2.5))
    return parts


def _arrow(x: float, start: float, end: float) -> list[str]:
    head = f"{x - 5:.1f},{end - 8:.1f} {x + 5:.1f},{end - 8:.1f} {x:.1f},{end - 1:.1f}"
    return [
        line(x, start, x, end - 8, stroke="#9aa5b1", width=1.5),
        f'<polygon points="{head}" fill="#9aa5b1"/>',
    ]


def _nice_top(highest: float) -> float:
    return next((top for top in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8) if highest <= top), 1.0)


def _ticks(low: float, high: float) -> list[float]:
    step = 0.05 if high - low <= 0.3 else 0.1
    first = math.ceil(low / step - 1e-9)
    return [round(step * i, 4) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _short(name: str) -> str:
    return name if len(name) <= 26 else f"{name[:25]}\u2026"

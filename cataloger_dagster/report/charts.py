"""Small inline SVG charts: a column's distribution and a series over snapshots. The relations' diagram is apart.

Every chart is decoration of numbers that stand beside it as text, so the small ones are hidden from screen
readers; the large one, which stands alone in prose, has a label.
"""

from collections.abc import Sequence

from markupsafe import Markup

from cataloger_dagster.facts import Column
from cataloger_dagster.report.numbers import as_float, format_value

# As the style sheet has them; the strip below the bars takes seven pixels more.
WIDTH, HEIGHT = 132, 26
LARGE_TOP = 8


def histogram(column: Column) -> Markup:
    """Return a column's distribution as bars, with its quartiles as a strip below; empty where not measured."""
    bars = _bars(column, WIDTH, HEIGHT)
    if not bars:
        return Markup("")
    strip = _strip(column, WIDTH, HEIGHT + 2)
    # Its size is the style sheet's, to the pixel: there is nothing to scale.
    return Markup(f'<svg class="{"h" if strip else "h low"}" aria-hidden="true">{bars}{strip}</svg>')


def large_chart(column: Column, label: str, *, grouped: bool) -> Markup:
    """Return the distribution that prose asks for: bars over its range, or one for each frequent value."""
    return _large_histogram(column, label, grouped) or _large_top(column, label, grouped)


def _large_top(column: Column, label: str, grouped: bool) -> Markup:
    top = (column.top or [])[:LARGE_TOP]
    if not top:
        return Markup("")
    width, line, start = 420, 20, 150
    most = max(count for _, count in top) or 1
    parts = []
    for index, (value, count) in enumerate(top):
        y = index * line
        parts.append(
            Markup(
                '<text x="{}" y="{}" text-anchor="end">{}</text><path d="M{} {}h{}v14h-{}z"/>'
                '<text x="{}" y="{}">{}</text>'
            ).format(
                start - 8, y + 14, format_value(value, grouped=grouped, width=20) or "(empty)",
                start, y + 3, _short(max(count / most * 190, 0.8)), _short(max(count / most * 190, 0.8)),
                _short(start + count / most * 190 + 6), y + 14, f"{count:,}",
            )
        )  # fmt: skip
    return Markup(
        '<svg class="h large" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{}">{}</svg>'
    ).format(label, Markup("").join(parts), w=width, h=len(top) * line)


def _large_histogram(column: Column, label: str, grouped: bool) -> Markup:
    width, height = 420, 84
    bars = _bars(column, width, height)
    if not bars or column.histogram is None:
        return Markup("")
    low, high = (format_value(end, grouped=grouped, width=24) for end in (column.histogram.low, column.histogram.high))
    ends = Markup('<text x="0" y="{y}">{}</text><text x="{x}" y="{y}" text-anchor="end">{}</text>').format(
        low, high, x=width, y=height + 21
    )
    lines = 24
    if column.histogram.sampled:
        lines += 18
        ends += Markup('<text x="0" y="{}">{}</text>').format(height + 39, of_sample(column))
    return Markup(
        '<svg class="h large" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{label}">'
        "{bars}{strip}{ends}</svg>"
    ).format(w=width, h=height + lines, label=label, bars=bars, strip=_strip(column, width, height + 2), ends=ends)


def of_sample(column: Column) -> str:
    """Return what a column's bars count if they do not count all of its values, else nothing."""
    if column.histogram is None or not column.histogram.sampled:
        return ""
    return f"of a sample of {sum(column.histogram.counts):,} values"


def has_chart(column: Column) -> bool:
    """Say whether there is a distribution to draw: bins, or top values."""
    return bool(column.top) or bool(column.histogram and any(column.histogram.counts))


def _bars(column: Column, width: int, height: int) -> Markup:
    counts = column.histogram.counts if column.histogram else []
    top = max(counts, default=0)
    if top <= 0:
        return Markup("")
    step = width / len(counts)
    # One outline of all bars, each step relative to the one before: a page may have thousands of charts.
    path, level, pending = [f"M0 {height}"], 0.0, 0.0
    for count in counts:
        # A bin with a single value among millions still shows.
        tall = round(max(height * count / top, 0.8), 1) if count > 0 else 0.0
        if tall != level:
            path.append(f"{_across(pending)}v{_short(level - tall)}")
            level, pending = tall, 0.0
        pending += step
    path.append(f"{_across(pending)}V{height}z")
    return Markup(f'<path d="{"".join(path)}"/>')


def _across(width: float) -> str:
    return f"h{_short(width)}" if width else ""


def _strip(column: Column, width: int, y: int) -> Markup:
    """Return the quartiles on the bars' own axis: a line from the 5th to the 95th per cent, a box, the median."""
    if column.histogram is None or not column.quantiles:
        return Markup("")
    low, high = as_float(column.histogram.low), as_float(column.histogram.high)
    if low is None or high is None or high <= low:
        return Markup("")
    at: dict[str, float] = {}
    for share, value in column.quantiles.items():
        number = as_float(value)
        if number is not None:
            at[share] = min(max((number - low) / (high - low), 0.0), 1.0) * width
    if not {"0.25", "0.5", "0.75"} <= at.keys():
        return Markup("")
    first, last = min(at.values()), max(at.values())
    box = max(at["0.75"] - at["0.25"], 1.0)
    line = f"M{_short(first)} {y + 2.5}H{_short(last)}"
    shape = f"M{_short(at['0.25'])} {y + 1}h{_short(box)}v3h-{_short(box)}z"
    return Markup(f'<path class="q" d="{line}{shape}M{_short(at["0.5"])} {y}v5"/>')


def sparkline(values: Sequence[float | None], width: int = 96, height: int = 22) -> Markup:
    """Return a line over snapshots, oldest first; a snapshot without a value is a gap."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Markup("")
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    step = (width - 6) / max(len(values) - 1, 1)
    path, pen, end = [], "M", (0.0, 0.0)
    for index, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        end = (3 + index * step, height - 3 - (value - low) / span * (height - 6) if high > low else height / 2)
        path.append(f"{pen}{_short(end[0])} {_short(end[1])}")
        pen = "L"
    return Markup(
        '<svg class="s" viewBox="0 0 {w} {h}" width="{w}" height="{h}" aria-hidden="true">'
        '<path d="{}"/><circle cx="{}" cy="{}" r="2.2"/></svg>'
    ).format("".join(path), _short(end[0]), _short(end[1]), w=width, h=height)


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def label(column: Column, table: str, *, grouped: bool) -> str:
    """Return what a chart shows, in words."""
    words = f"Distribution of {table}.{column.name}"
    if column.histogram is not None:
        low = format_value(column.histogram.low, grouped=grouped)
        high = format_value(column.histogram.high, grouped=grouped)
        words += f" from {low} to {high}"
    if said := of_sample(column):
        words += f", {said}"
    median = (column.quantiles or {}).get("0.5")
    about = "about " if column.quantiles_error is not None else ""
    return words + (f", median {about}{format_value(median, grouped=grouped)}" if median is not None else "")

"""The chart: wall time of each program at each work, on a logarithmic scale."""

import math
from xml.sax.saxutils import escape

COLOURS = {
    "floor": "#8c8c8c",
    "kopsrun": "#0b7a75",
    "kopsrun-cold": "#69b8b3",
    "ansible": "#c0392b",
    "mitogen": "#d98e04",
    "pyinfra": "#5b5ea6",
}
LEFT, WIDTH, BAR, GAP = 210, 520, 15, 14


def svg(records, hosts):
    """The records of the largest rig as an SVG document."""
    shown = [one for one in records if one["hosts"] == hosts]
    groups = {}
    for one in shown:
        delay = one.get("delay_ms")
        title = f"({one['work']}) {one['title']}" + (f", {delay} ms round trip" if delay else "")
        groups.setdefault(title, []).append(one)
    walls = [one["wall_s"] for one in shown] or [1]
    low, high = math.floor(math.log10(min(walls))), math.ceil(math.log10(max(walls)))
    high = max(high, low + 1)
    place = lambda seconds: LEFT + WIDTH * (math.log10(seconds) - low) / (high - low)  # noqa: E731
    parts, y = [], 44
    for title, rows in groups.items():
        parts.append(f'<text x="8" y="{y + 12}" font-weight="bold">{escape(title)}</text>')
        y += 20
        for one in rows:
            end = place(one["wall_s"])
            parts.append(f'<text x="{LEFT - 6}" y="{y + 12}" text-anchor="end">{escape(one["tool"])}</text>')
            colour = COLOURS.get(one["tool"], "#444")
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{max(end - LEFT, 1):.1f}" height="{BAR}" fill="{colour}"/>')
            parts.append(f'<text x="{end + 5:.1f}" y="{y + 12}">{seconds(one["wall_s"])}</text>')
            y += BAR + 3
        y += GAP
    lines = []
    for power in range(low, high + 1):
        x = place(10**power)
        lines.append(f'<line x1="{x}" x2="{x}" y1="36" y2="{y}" stroke="#ddd"/>')
        lines.append(f'<text x="{x}" y="32" text-anchor="middle" fill="#666">{seconds(10**power)}</text>')
    head = f'<text x="8" y="16" font-weight="bold">Wall time on {hosts} hosts (median; logarithmic scale)</text>'
    size = f'width="{LEFT + WIDTH + 80}" height="{y + 10}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{head}{"".join(lines)}{"".join(parts)}</svg>\n'
    )


def seconds(value):
    return f"{value:.0f} s" if value >= 10 else f"{value:.3g} s"

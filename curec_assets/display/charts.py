"""Small charts as markdown, which the Dagster UI and a page can render.

Pictures are PNGs inside data URIs, about 500 x 300 pixels, drawn without a display.
"""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from curec_assets.display.markdown import Markdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES = (5.0, 3.0)
_DPI = 100
_MOST_LABELS = 12


def line_chart(
    series: Mapping[str, Sequence[float]], *, title: str, x_label: str, y_label: str
) -> Markdown:
    """Markdown image with one line per series; x is 1, 2, 3, ... (steps, epochs)."""
    from matplotlib.ticker import MaxNLocator

    def draw(axes: "Axes") -> None:
        for name, values in series.items():
            marker = "o" if len(values) < 3 else ""
            axes.plot(range(1, len(values) + 1), values, label=name, marker=marker, linewidth=1.5)
        axes.set_xlabel(x_label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if len(series) > 1:
            axes.legend(fontsize=8)

    return _picture(draw, title=title, y_label=y_label)


def interval_chart(
    values: Mapping[str, tuple[float, float, float]], *, title: str, y_label: str
) -> Markdown:
    """Markdown image with a point and its interval per name: (value, low, high)."""

    def draw(axes: "Axes") -> None:
        heights = [value for value, _, _ in values.values()]
        below = [max(value - low, 0.0) for value, low, _ in values.values()]
        above = [max(high - value, 0.0) for value, _, high in values.values()]
        # Points, not bars: the axis does not begin at zero.
        axes.errorbar(range(len(values)), heights, yerr=[below, above], fmt="o", capsize=4)
        axes.set_xticks(range(len(values)), list(values))
        axes.margins(x=0.15)
        axes.tick_params(axis="x", labelsize=7, labelrotation=20 if len(values) > 4 else 0)
        lows = [low for _, low, _ in values.values()]
        highs = [high for _, _, high in values.values()]
        if values and min(lows) > 0:  # small differences, such as AUCs, stay visible
            room = 0.2 * (max(highs) - min(lows)) or 0.1 * max(highs)
            axes.set_ylim(max(0.0, min(lows) - room), max(highs) + room)

    return _picture(draw, title=title, y_label=y_label)


def bar_chart(
    series: Mapping[str, Mapping[str, float]], *, title: str, x_label: str, y_label: str
) -> Markdown:
    """Markdown image with a group of bars per label, one for each series that has it."""
    labels = list(dict.fromkeys(label for values in series.values() for label in values))

    def draw(axes: "Axes") -> None:
        width = 0.8 / max(len(series), 1)
        for number, (name, values) in enumerate(series.items()):
            places = [at + (number - (len(series) - 1) / 2) * width for at in range(len(labels))]
            axes.bar(places, [values.get(label, 0.0) for label in labels], width, label=name)
        step = max(1, len(labels) // _MOST_LABELS)
        axes.set_xticks(range(0, len(labels), step), labels[::step])
        axes.tick_params(axis="x", labelsize=7, labelrotation=30 if len(labels) > 6 else 0)
        axes.set_xlabel(x_label)
        axes.grid(axis="y", alpha=0.3)
        if len(series) > 1:
            axes.legend(fontsize=8)

    return _picture(draw, title=title, y_label=y_label)


def reliability_chart(
    series: Mapping[str, Sequence[Mapping[str, float]]], *, title: str
) -> Markdown:
    """Markdown image of predicted against true shares, one line per series, beside the diagonal.

    Each bin: `probability` (mean prediction), `liked` (true share) and `events` (its size).
    """

    def draw(axes: "Axes") -> None:
        axes.plot([0, 1], [0, 1], color="grey", linewidth=1.0, linestyle="--")
        for name, bins in series.items():
            predicted = [each["probability"] for each in bins]
            true = [each["liked"] for each in bins]
            axes.plot(predicted, true, label=name, marker="o", markersize=4, linewidth=1.5)
        axes.set_xlabel("predicted")
        axes.grid(alpha=0.3)
        if series:
            axes.legend(fontsize=8)

    return _picture(draw, title=title, y_label="true share")


def _picture(draw: "Callable[[Axes], None]", *, title: str, y_label: str) -> Markdown:
    # The Figure is used without pyplot: no global state, no display, safe in threads.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes)
    axes.set_title(title, fontsize=10)
    axes.set_ylabel(y_label)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    alt = title.replace("[", "(").replace("]", ")")
    return Markdown(f"![{alt}](data:image/png;base64,{encoded})")

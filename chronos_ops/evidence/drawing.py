"""How every chart looks: colours, style, SVG that is the same bytes whenever it is drawn.

Colours are Okabe and Ito's, told apart by the colour-blind; shapes and words say the same once
more. Titles say the finding.
"""

import io
from collections.abc import Callable
from typing import Any, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
INK, GREY, PALE = "#24292f", "#6e7781", "#d8dee4"
WIDTH = 9.0  # inches: a notebook's column
_STYLE: Any = {
    "svg.hashsalt": "chronos-ops",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 14,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": INK,
    "path.simplify": False,
}


def drawn(height: float, draw: Callable[[Axes], None]) -> str:
    """One chart as SVG, without date or random ids."""
    return drawn_figure(height, lambda figure: draw(figure.subplots()))


def drawn_figure(height: float, draw: Callable[[Figure], None]) -> str:
    """The same for several panels."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure)
        FigureCanvasSVG(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :].rstrip() + "\n"


def nothing(text: str) -> str:
    """A chart that says that there is nothing to draw, and why: never drawn as zero."""

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        axes.set_title(text)

    return drawn(0.9, draw)


def dates(axes: Axes) -> Any:
    """Few ticks, and a formatter that says the day once."""
    locate, write = cast(Any, AutoDateLocator), cast(Any, ConciseDateFormatter)  # untyped
    locator = locate(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    return write(locator)

"""Small pictures of curves for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def line_plot(xs: Sequence[float] | np.ndarray, curves: Mapping[str, np.ndarray], *, title: str, x: str) -> np.ndarray:
    """Return a picture uint8 [H,W,3] of some curves over common abscissae.

    Args:
        xs: Abscissae [N].
        curves: Ordinates [N] by name.
        title: What is shown.
        x: What the abscissa is.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # heavy, and only wanted here
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), dpi=100, layout="tight")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, values in curves.items():
        axes.plot(np.asarray(xs), values, label=name)
    axes.set(title=title, xlabel=x)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right")
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])

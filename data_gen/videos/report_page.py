"""The report as one self-contained page: pictures embedded, curves drawn as SVG, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from data_gen.videos.report_facts import Look
from data_gen.videos.report_findings import Finding
from utils.data.picture_store import encode_picture

COLORS = ("#0b6e99", "#d9730d", "#4d8a2f", "#ad1a72")
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#f6f6f4;margin:0 auto;max-width:1120px;padding:24px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:32px 0 8px}section{background:#fff;border:1px solid #ddd;
border-radius:8px;padding:12px 16px;margin:12px 0}table{border-collapse:collapse;width:100%}td,th{text-align:left;
padding:5px 10px;border-bottom:1px solid #eee;vertical-align:top}.level{font-weight:600;white-space:nowrap}
.fatal{color:#b00020}.warning{color:#a85d00}.note{color:#55606a}.sheet{display:grid;gap:6px;
grid-template-columns:repeat(auto-fill,minmax(170px,1fr))}figure{margin:0}
figure img{width:100%;border-radius:4px;display:block}figcaption{font-size:12px;color:#666}
.curves{display:grid;gap:12px;grid-template-columns:repeat(auto-fit,minmax(480px,1fr))}
svg{width:100%;height:auto}.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(210px,1fr));gap:8px 20px}
.facts b{display:block;font-size:19px}code{background:#eee;padding:1px 4px;border-radius:3px}p{margin:6px 0}
"""
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 520, 190, 46, 24
_MAX_POINTS = 1200
_SHEET_WIDTH = 340


def page(title: str, verdict: str, parts: Sequence[str]) -> str:
    """Return a whole page of some sections."""
    head = f"<meta charset='utf-8'><title>{html.escape(title)}</title><style>{_STYLE}</style>"
    body = f"<h1>{html.escape(title)}</h1><p>{html.escape(verdict)}</p>{''.join(parts)}"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{body}</body></html>\n"


def section(title: str, body: str) -> str:
    """Return a section with a heading."""
    return f"<h2>{html.escape(title)}</h2><section>{body}</section>"


def findings_table(findings: Sequence[Finding]) -> str:
    """Return what is doubtful and what to do as a table."""
    if not findings:
        return "<p>Nothing is doubtful.</p>"
    rows = "".join(
        f"<tr><td class='level {f.level}'>{f.level}</td><td>{html.escape(f.text)}</td>"
        f"<td>{html.escape(f.advice)}</td></tr>"
        for f in findings
    )
    return f"<table><tr><th></th><th>what was found</th><th>what to do</th></tr>{rows}</table>"


def facts_grid(facts: Mapping[str, str]) -> str:
    """Return named values as a grid."""
    cells = (f"<div>{html.escape(name)}<b>{html.escape(value)}</b></div>" for name, value in facts.items())
    return f"<div class='facts'>{''.join(cells)}</div>"


def contact_sheet(looks: Sequence[Look]) -> str:
    """Return pictures with landmarks and the borders of head (green) and torso (blue) drawn in."""
    figures = []
    for look in looks:
        data = base64.b64encode(encode_picture(drawn(look), "jpeg")).decode("ascii")
        caption = f"frame {look.frame}, {look.frame / 25:.1f} s"
        image = f"<img alt='{caption}' src='data:image/jpeg;base64,{data}'>"
        figures.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
    return f"<div class='sheet'>{''.join(figures)}</div>"


def drawn(look: Look) -> np.ndarray:
    """Return a small picture with landmarks and mask borders."""
    scale = _SHEET_WIDTH / look.picture.shape[1]
    size = (_SHEET_WIDTH, round(look.picture.shape[0] * scale))
    picture = cv2.resize(look.picture, size, interpolation=cv2.INTER_AREA)
    masks = cv2.resize(look.masks, size, interpolation=cv2.INTER_AREA)
    for channel, color in ((0, (60, 220, 90)), (1, (70, 140, 255))):
        inside = np.ascontiguousarray((masks[..., channel] >= 128).astype(np.uint8))
        borders, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(picture, borders, -1, color, 1, cv2.LINE_AA)
    for x, y in look.points * scale:
        cv2.circle(picture, (round(float(x) * 16), round(float(y) * 16)), 22, (255, 235, 60), -1, cv2.LINE_AA, shift=4)
    return picture


def _short(value: float) -> str:
    """Return a number of at most five characters or so."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def chart(
    title: str,
    xs: np.ndarray,
    curves: Mapping[str, np.ndarray],
    *,
    unit: str,
    marks: Sequence[float] = (),
    level: float | None = None,
) -> str:
    """Return curves over common abscissae as SVG.

    Args:
        title: What is shown.
        xs: Abscissae, [N].
        curves: Ordinates [N] by name.
        unit: Of the ordinates.
        marks: Abscissae at which a grey upright line stands (cuts).
        level: Ordinate of a dashed line (a limit).
    """
    step = max(1, len(xs) // _MAX_POINTS)
    values = np.concatenate([np.asarray(curve, float) for curve in curves.values()] + ([[level]] if level else []))
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = 0.05 * (high - low) or 1.0
    low, high = low - pad, high + pad
    left, right = float(xs[0]), max(float(xs[-1]), float(xs[0]) + 1e-6)

    def across(x: float) -> float:
        return _LEFT + (x - left) / (right - left) * (_WIDTH - _LEFT - 8)

    def down(y: float) -> float:
        return 8 + (high - y) / (high - low) * (_HEIGHT - _BOTTOM - 8)

    lines = [f"<text x='{_LEFT}' y='{_HEIGHT - 6}' font-size='11'>{left:g}</text>"]
    lines.append(f"<text x='{_WIDTH - 8}' y='{_HEIGHT - 6}' font-size='11' text-anchor='end'>{right:.4g}</text>")
    for y in np.linspace(low + pad, high - pad, 4):
        lines.append(f"<line x1='{_LEFT}' x2='{_WIDTH - 8}' y1='{down(y):.1f}' y2='{down(y):.1f}' stroke='#e4e4e4'/>")
        lines.append(f"<text x='{_LEFT - 4}' y='{down(y) + 4:.1f}' font-size='11' text-anchor='end'>{_short(y)}</text>")
    lines += [f"<line x1='{across(x):.1f}' x2='{across(x):.1f}' y1='8' y2='{_HEIGHT - _BOTTOM}' stroke='#bbb'/>"
              for x in marks]  # fmt: skip
    if level is not None:
        y = down(level)
        lines.append(
            f"<line x1='{_LEFT}' x2='{_WIDTH - 8}' y1='{y:.1f}' y2='{y:.1f}' stroke='#b00' stroke-dasharray='4'/>"
        )
    for color, curve in zip(COLORS, curves.values(), strict=False):
        points = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in zip(xs[::step], curve[::step], strict=True))
        lines.append(f"<polyline fill='none' stroke='{color}' stroke-width='1.3' points='{points}'/>")
    names = " ".join(f"<span style='color:{c}'>{html.escape(n)}</span>" for c, n in zip(COLORS, curves, strict=False))
    return (
        f"<div><b>{html.escape(title)}</b> <small>({html.escape(unit)}) {names}</small>"
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img'>{''.join(lines)}</svg></div>"
    )

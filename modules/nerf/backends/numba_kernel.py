"""Marching, reading planes and blending for the numba backend; a few matrix products a wave lie between.

Every function works on a square tile of rays; sizes and orders of arrays are those of ``export.py``.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

TILE, WAVE = 16, 4
_MAX_OPTICAL, _MAX_LOG_DENSITY, _FIRST_LOG_DENSITY = 30.0, 8.0, -2.0

_jit = numba.njit(nogil=True, fastmath=True, cache=True, error_model="numpy")
Array = Any


@_jit
def aim(c2w: Array, lens: Array, aabb: Array, step: float, top: int, left: int, rows: int, columns: int) -> tuple:
    """Return origins and slopes in box units [R,6], first and last step [R,2], lengths [R] and pixels [R,2] of rays."""
    lines = np.empty((rows * columns, 6), np.float32)
    ends = np.empty((rows * columns, 2), np.int32)
    lengths = np.empty(rows * columns, np.float32)
    for index in range(rows * columns):
        row, column = top + index // columns, left + index % columns
        x, y = (column + 0.5 - lens[1]) / lens[0], -(row + 0.5 - lens[2]) / lens[0]
        near, far, square = 0.0, 1e9, 0.0
        for a in range(3):
            d = c2w[a, 0] * x + c2w[a, 1] * y - c2w[a, 2]
            square += d * d
            extent = aabb[1, a] - aabb[0, a]
            inverse = 1.0 / (d if abs(d) > 1e-9 else 1e-9)
            one, two = (aabb[0, a] - c2w[a, 3]) * inverse, (aabb[1, a] - c2w[a, 3]) * inverse
            near, far = max(near, min(one, two)), min(far, max(one, two))
            lines[index, a] = (c2w[a, 3] - aabb[0, a]) * (2.0 / extent) - 1.0
            lines[index, 3 + a] = d * (2.0 / extent)
        ends[index, 0], ends[index, 1] = math.ceil(near / step - 0.5), math.ceil(far / step - 0.5)
        lengths[index] = math.sqrt(square)
    return lines, ends, lengths


@_jit
def next_samples(
    lines: Array, ends: Array, counts: Array, light: Array, occupied: Array, limits: Array, rays: Array, depths: Array
) -> int:
    """Write the next few samples of every open ray into ``rays`` and ``depths``; return how many."""
    grid, max_steps, step, stop = int(limits[0]), int(limits[1]), limits[2], limits[3]
    number = 0
    for ray in range(len(ends)):
        taken = 0
        if light[ray] <= stop:
            continue
        while ends[ray, 0] < ends[ray, 1] and counts[ray] < max_steps and taken < WAVE:
            depth = (ends[ray, 0] + 0.5) * step
            ends[ray, 0] += 1
            cell = 0
            for a in (2, 1, 0):
                along = int((lines[ray, a] + lines[ray, 3 + a] * depth + 1.0) * (0.5 * grid))
                cell = cell * grid + min(max(along, 0), grid - 1)
            if occupied[cell >> 3] >> (cell & 7) & 1:
                rays[number], depths[number] = ray, depth
                number += 1
                taken += 1
                counts[ray] += 1
    return number


@_jit
def read(plane: Array, x: float, y: float, out: Array, at: int) -> None:
    """Write the bilinear value of a plane [size,size,C] at (x, y) in [-1,1] into ``out[at:at+C]``."""
    size, channels = plane.shape[0], plane.shape[2]
    most = np.float32(size - 1)
    along = min(max((x + np.float32(1)) * (np.float32(0.5) * most), np.float32(0)), most)
    down = min(max((y + np.float32(1)) * (np.float32(0.5) * most), np.float32(0)), most)
    column, row = min(int(along), size - 2), min(int(down), size - 2)
    u, v = along - np.float32(column), down - np.float32(row)
    for c in range(channels):
        left = plane[row, column, c] + v * (plane[row + 1, column, c] - plane[row, column, c])
        right = plane[row, column + 1, c] + v * (plane[row + 1, column + 1, c] - plane[row, column + 1, c])
        out[at + c] = left + u * (right - left)


@_jit
def read_features(
    lines: Array,
    rays: Array,
    depths: Array,
    number: int,
    planes: Array,
    levels: Array,
    warp: Array,
    blend: Array,
    out: Array,
) -> None:
    """Write the features of samples into ``out`` [number,inputs]."""
    shift = np.zeros(4, np.float32)
    channels = levels[0, 2]
    for i in range(number):
        line, depth = lines[rays[i]], depths[i]
        x, y, z = line[0] + line[3] * depth, line[1] + line[4] * depth, line[2] + line[5] * depth
        if warp.shape[0]:
            read(warp, x, y, shift, 0)
        mx, my = x - shift[2], y - shift[3]
        x, y = x - shift[0], y - shift[1]
        at = 0
        for level in range(len(levels)):
            start, size = levels[level, 0], levels[level, 1]
            area = size * size * channels
            for plane in range(3):
                first = start + plane * area
                texels = planes[first : first + area].reshape(size, size, channels)
                read(texels, z if plane == 1 else x, z if plane == 2 else y, out[i], at)
                at += channels
        if blend.shape[0]:
            read(blend, mx, my, out[i], at)


@_jit
def blend_samples(
    rays: Array,
    depths: Array,
    number: int,
    density: Array,
    rgb: Array,
    lengths: Array,
    light: Array,
    color: Array,
    stop: float,
) -> None:
    """Blend samples, in order along each ray, into ``color`` [R,3] and ``light`` [R]."""
    for i in range(number):
        ray = rays[i]
        if light[ray] <= stop:
            continue
        thick = math.exp(min(density[i, 0] + _FIRST_LOG_DENSITY, _MAX_LOG_DENSITY)) * lengths[ray]
        behind = light[ray] * math.exp(-min(thick, _MAX_OPTICAL))
        if behind < stop:
            behind = 0.0
        weight = light[ray] - behind
        for c in range(3):
            color[ray, c] += weight / (1.0 + math.exp(-rgb[i, c]))
        light[ray] = behind


@_jit
def product(x: Array, number: int, weight: Array, bias: Array, out: Array, positive: bool) -> None:
    """Write x W + b into ``out``, negative values as 0 where ``positive``."""
    np.dot(x[:number], weight, out[:number])
    for i in range(number):
        for j in range(out.shape[1]):
            value = out[i, j] + bias[j]
            out[i, j] = max(value, np.float32(0)) if positive else value


@_jit
def draw_tile(
    top: int, left: int, rows: int, columns: int, view: tuple, head: tuple, frame: tuple, layers: tuple, out: Array
) -> int:
    """Draw a tile of rays into ``out`` [H,W,4] (color times opacity, opacity); return the samples evaluated."""
    c2w, lens = view
    planes, levels, occupied, aabb, limits = head
    warp, blend = frame
    (w1, b1), (w2, b2), (w3, b3), (w4, b4), (w5, b5) = layers
    lines, ends, lengths = aim(c2w, lens, aabb, limits[2], top, left, rows, columns)
    num_rays = rows * columns
    light, color = np.ones(num_rays, np.float32), np.zeros((num_rays, 3), np.float32)
    counts, rays = np.zeros(num_rays, np.int32), np.empty(num_rays * WAVE, np.int32)
    depths, x = np.empty(num_rays * WAVE, np.float32), np.empty((num_rays * WAVE, w1.shape[0]), np.float32)
    h1, h2 = np.empty((len(x), w1.shape[1]), np.float32), np.empty((len(x), w2.shape[1]), np.float32)
    h3, h4 = np.empty((len(x), w3.shape[1]), np.float32), np.empty((len(x), w4.shape[1]), np.float32)
    h5 = np.empty((len(x), w5.shape[1]), np.float32)
    total = 0
    while True:
        number = next_samples(lines, ends, counts, light, occupied, limits, rays, depths)
        if number == 0:
            break
        total += number
        read_features(lines, rays, depths, number, planes, levels, warp, blend, x)
        product(x, number, w1, b1, h1, True)
        product(h1, number, w2, b2, h2, True)
        product(h2, number, w3, b3, h3, False)
        product(h3, number, w4, b4, h4, True)
        product(h4, number, w5, b5, h5, False)
        blend_samples(rays, depths, number, h3, h5, lengths, light, color, limits[3])
    for ray in range(num_rays):
        row, column = top + ray // columns, left + ray % columns
        for c in range(3):
            out[row, column, c] = color[ray, c]
        out[row, column, 3] = 1.0 - light[ray]
    return total

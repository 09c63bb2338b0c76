"""A z-buffer rasteriser and shader in numba: visibility at 2 x 2 samples a pixel, shading once a pixel and surface.

Screen coordinates are in samples (two a pixel), x right and y down; depth is kept as 1 / distance, which is linear on
the screen. Notation: V vertices, F triangles, L texture layers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float32]
SAMPLES = 2
LUT_SIZE = 4096


def _linear_to_srgb_table() -> npt.NDArray[np.uint8]:
    x = np.linspace(0.0, 1.0, LUT_SIZE)
    srgb = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return np.round(srgb * 255).astype(np.uint8)


def srgb_to_linear(x: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Linear light of sRGB values in [0, 1], any shape."""
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


TO_SRGB = _linear_to_srgb_table()
TO_LINEAR = srgb_to_linear(np.arange(256) / 255.0).astype(np.float32)


@njit(cache=True)
def vertex_normals(vertices, faces, source):  # type: ignore[no-untyped-def]
    """Unit normals [V, 3] of a welded mesh; `source` [V] names the vertex whose normal each one shares."""
    normals = np.zeros_like(vertices)
    for f in range(faces.shape[0]):
        a, b, c = source[faces[f, 0]], source[faces[f, 1]], source[faces[f, 2]]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        wx, wy, wz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
        for k in (a, b, c):
            normals[k, 0] += nx
            normals[k, 1] += ny
            normals[k, 2] += nz
    for k in range(vertices.shape[0]):
        if source[k] == k:
            scale = 1.0 / max(1e-12, np.sqrt(normals[k, 0] ** 2 + normals[k, 1] ** 2 + normals[k, 2] ** 2))
            normals[k] *= scale
    for k in range(vertices.shape[0]):
        normals[k] = normals[source[k]]
    return normals


@njit(cache=True, fastmath=True)
def visible_faces(screen, faces, layer, two_sided, cutout, uvs, fade, textures, height, width):  # type: ignore[no-untyped-def]
    """The nearest triangle at every sample, [H, W] int32, -1 where there is none.

    Args:
        screen: [V, 3], x and y in samples and 1 / distance.
        faces: [F, 3].
        layer: [F], texture layer of each face.
        two_sided: [F], draw the back as well.
        cutout: [F], drop the samples where texture alpha x `fade` is below one half.
        uvs: [V, 2] in [0, 1], v downwards.
        fade: [V] opacity of cut-out surfaces.
        textures: [L, R, R, 4] uint8.
        height: Samples.
        width: Samples.
    """
    nearest = np.zeros((height, width), np.float32)
    ids = np.full((height, width), -1, np.int32)
    res = textures.shape[1]
    for f in range(faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, y0, x1, y1, x2, y2 = screen[i, 0], screen[i, 1], screen[j, 0], screen[j, 1], screen[k, 0], screen[k, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0.0 or (area > 0.0 and not two_sided[f]):
            continue
        left, right = max(0, int(np.ceil(min(x0, x1, x2) - 0.5))), min(width - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        top, low = max(0, int(np.ceil(min(y0, y1, y2) - 0.5))), min(height - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        if left > right or top > low:
            continue
        inv = np.float32(1.0) / area
        d0x, d0y = (y1 - y2) * inv, (x2 - x1) * inv
        d1x, d1y = (y2 - y0) * inv, (x0 - x2) * inv
        w0_row = d0x * (left + np.float32(0.5) - x2) + d0y * (top + np.float32(0.5) - y2)
        w1_row = d1x * (left + np.float32(0.5) - x2) + d1y * (top + np.float32(0.5) - y2)
        z0, z1, z2 = screen[i, 2], screen[j, 2], screen[k, 2]
        for y in range(top, low + 1):
            w0, w1 = w0_row, w1_row
            for x in range(left, right + 1):
                w2 = np.float32(1.0) - w0 - w1
                if w0 >= -1e-5 and w1 >= -1e-5 and w2 >= -1e-5:
                    z = w0 * z0 + w1 * z1 + w2 * z2
                    if z > nearest[y, x]:
                        solid = True
                        if cutout[f]:
                            u = w0 * uvs[i, 0] + w1 * uvs[j, 0] + w2 * uvs[k, 0]
                            v = w0 * uvs[i, 1] + w1 * uvs[j, 1] + w2 * uvs[k, 1]
                            tx, ty = int(u * res) % res, int(v * res) % res
                            opacity = w0 * fade[i] + w1 * fade[j] + w2 * fade[k]
                            solid = textures[layer[f], ty, tx, 3] * opacity > 127.0
                        if solid:
                            nearest[y, x] = z
                            ids[y, x] = f
                w0 += d0x
                w1 += d1x
            w0_row += d0y
            w1_row += d1y
    return ids, nearest


@njit(cache=True, fastmath=True)
def _texel(textures, to_linear, layer, u, v, out):  # type: ignore[no-untyped-def]
    """Bilinear sample of one layer into out [4]: linear colour and alpha."""
    res = textures.shape[1]
    x, y = u * res - np.float32(0.5), v * res - np.float32(0.5)
    fx, fy = np.floor(x), np.floor(y)
    ax, ay = x - fx, y - fy
    x0, y0 = int(fx) % res, int(fy) % res
    x1, y1 = (x0 + 1) % res, (y0 + 1) % res
    for c in range(4):
        p, q = textures[layer, y0, x0, c], textures[layer, y0, x1, c]
        r, s = textures[layer, y1, x0, c], textures[layer, y1, x1, c]
        if c < 3:
            top, low = to_linear[p] * (1 - ax) + to_linear[q] * ax, to_linear[r] * (1 - ax) + to_linear[s] * ax
            out[c] = top * (1 - ay) + low * ay
        else:
            out[c] = ((p * (1 - ax) + q * ax) * (1 - ay) + (r * (1 - ax) + s * ax) * ay) / np.float32(255)


@njit(cache=True, fastmath=True)
def _shade_point(f, px, py, scene, lights, textures, to_linear, texel, out):  # type: ignore[no-untyped-def]
    """Linear colour of face f at the sample position (px, py), written to out [3]; texel [4] is scratch."""
    screen, normals, uvs, occlusion, faces, layer, two_sided, material = scene
    i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
    x2, y2 = screen[k, 0], screen[k, 1]
    ax, ay, bx, by = screen[i, 0] - x2, screen[i, 1] - y2, screen[j, 0] - x2, screen[j, 1] - y2
    area = ax * by - bx * ay
    w0 = min(max(((px - x2) * by - (py - y2) * bx) / area, np.float32(0)), np.float32(1))
    w1 = min(max(((py - y2) * ax - (px - x2) * ay) / area, np.float32(0)), np.float32(1) - w0)
    w2 = np.float32(1) - w0 - w1
    nx = w0 * normals[i, 0] + w1 * normals[j, 0] + w2 * normals[k, 0]
    ny = w0 * normals[i, 1] + w1 * normals[j, 1] + w2 * normals[k, 1]
    nz = w0 * normals[i, 2] + w1 * normals[j, 2] + w2 * normals[k, 2]
    scale = np.float32(1) / max(np.float32(1e-6), np.sqrt(nx * nx + ny * ny + nz * nz))
    if nz < 0 and two_sided[f]:
        scale = -scale
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    occ = w0 * occlusion[i] + w1 * occlusion[j] + w2 * occlusion[k]
    u = w0 * uvs[i, 0] + w1 * uvs[j, 0] + w2 * uvs[k, 0]
    v = w0 * uvs[i, 1] + w1 * uvs[j, 1] + w2 * uvs[k, 1]
    _texel(textures, to_linear, layer[f], u, v, texel)
    gloss, shininess, wrap = material[layer[f], 0], material[layer[f], 1], material[layer[f], 2]
    if material[layer[f], 3] > 0:
        gloss *= texel[3]
    sky = np.float32(0.5) + np.float32(0.5) * ny
    highlight = np.float32(0)
    for c in range(3):
        out[c] = (lights[0, c] * (1 - sky) + lights[1, c] * sky) * occ
    for m in range(2, lights.shape[0]):
        facing = nx * lights[m, 3] + ny * lights[m, 4] + nz * lights[m, 5]
        shadow = np.float32(0.35) * occ + np.float32(0.65) * occ * occ
        for c in range(3):
            soft = wrap * (np.float32(1.0) if c == 0 else np.float32(0.55))
            lit = max(np.float32(0), (facing + soft) / (1 + soft))
            out[c] += lights[m, c] * lit * shadow
        if lights[m, 6] > 0:
            half_z = lights[m, 5] + np.float32(1)
            norm = np.sqrt(lights[m, 3] ** 2 + lights[m, 4] ** 2 + half_z**2)
            spec = max(np.float32(0), (nx * lights[m, 3] + ny * lights[m, 4] + nz * half_z) / norm)
            highlight += lights[m, 6] * spec**shininess * shadow
    edge = np.float32(1) - nz if nz > 0 else np.float32(0)
    highlight = gloss * (highlight + np.float32(0.25) * occ * edge**4)
    for c in range(3):
        out[c] = out[c] * texel[c] + highlight


@njit(cache=True, fastmath=True)
def _shade_pixel(four, x, y, backdrop, scene, lights, textures, to_linear, texel, color, total):  # type: ignore[no-untyped-def]
    """Sum of the four samples' colours into total [3]; samples on one surface are shaded once, at their middle."""
    layer = scene[5]
    done = 0
    for s in range(4):
        f = four[s]
        if done & (1 << s):
            continue
        count, px, py = 0, np.float32(0), np.float32(0)
        for t in range(s, 4):
            g = four[t]
            if not done & (1 << t) and (g == f or (g >= 0 and f >= 0 and layer[g] == layer[f])):
                done |= 1 << t
                count += 1
                px += np.float32(2 * x + (t & 1)) + np.float32(0.5)
                py += np.float32(2 * y + (t >> 1)) + np.float32(0.5)
        if f >= 0:
            _shade_point(f, px / count, py / count, scene, lights, textures, to_linear, texel, color)
        for c in range(3):
            total[c] += count * (color[c] if f >= 0 else backdrop[c])


@njit(cache=True, fastmath=True)
def shade(ids, background, scene, lights, textures, to_linear, to_srgb, face_label):  # type: ignore[no-untyped-def]
    """Picture [H, W, 3] uint8 and labels [H, W] uint8 from the samples' faces.

    Args:
        ids: [2H, 2W] from `visible_faces`.
        background: [H, W, 3] linear light.
        scene: (screen, normals, uvs, occlusion, faces, layer, two_sided, material).
        lights: [2 + N, 7]: ground and sky colour, then colour, direction and highlight of each lamp.
        textures: [L, R, R, 4] uint8.
        to_linear: [256].
        to_srgb: [4096] uint8.
        face_label: [F] uint8.
    """
    height, width = background.shape[0], background.shape[1]
    image = np.empty((height, width, 3), np.uint8)
    labels = np.zeros((height, width), np.uint8)
    color, total, texel = np.empty(3, np.float32), np.empty(3, np.float32), np.empty(4, np.float32)
    four = np.empty(4, np.int32)
    votes = np.empty(3, np.int64)
    for y in range(height):
        for x in range(width):
            four[0], four[1] = ids[2 * y, 2 * x], ids[2 * y, 2 * x + 1]
            four[2], four[3] = ids[2 * y + 1, 2 * x], ids[2 * y + 1, 2 * x + 1]
            total[:] = 0
            votes[:] = 0
            for s in range(4):
                votes[face_label[four[s]] if four[s] >= 0 else 0] += 1
            _shade_pixel(four, x, y, background[y, x], scene, lights, textures, to_linear, texel, color, total)
            for c in range(3):
                value = min(max(total[c] * np.float32(0.25), np.float32(0)), np.float32(1))
                image[y, x, c] = to_srgb[int(value * np.float32(4095) + np.float32(0.5))]
            labels[y, x] = 1 if votes[1] >= 2 else (2 if votes[2] >= 2 else 0)
    return image, labels

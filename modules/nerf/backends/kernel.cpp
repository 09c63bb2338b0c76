// One frame of a flat person (export.py): march, read planes, small network, blend, torso, background, 8 bits.
//
// Compiled at first use by cpp.py with the flags of this machine: plain vectors of 16 floats that any CPU can do, and
// bf16 dot products where __AVX512BF16__ is set. Rays are taken in tiles; each tile evaluates its samples in waves of a
// few a ray, packed, so that every layer is a matrix product of many rows.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace {

typedef float v4 __attribute__((vector_size(16)));
typedef float v8 __attribute__((vector_size(32)));
typedef float v16 __attribute__((vector_size(64)));
typedef int32_t i4 __attribute__((vector_size(16)));
typedef int32_t i16 __attribute__((vector_size(64)));
#ifdef __AVX512BF16__
typedef uint16_t elem;
#else
typedef float elem;
#endif

constexpr int TILE = 16, RAYS = TILE * TILE, WAVE = 2, CHUNK = 96;
constexpr float MAX_OPTICAL = 30.f, MAX_LOG_DENSITY = 8.f, FIRST_LOG_DENSITY = -2.f;

}  // namespace

// Mirrors of the ctypes structures in cpp.py: pointers first, then 4-byte numbers.
struct Layer {
    const void *weight;  // fp32 [groups][inputs][16] or bf16 pairs [groups][inputs/2][16][2]
    const float *bias;   // [groups*16]
    int32_t inputs, groups;
};
struct Conv {
    const void *weight;  // for each of three rows [groups][3*channels][16], bf16 as in Layer
    const float *bias;   // [groups*16]
    int32_t channels, groups;
};
struct Person {
    const float *planes;     // for each level [3][size][size][channels]
    const int32_t *sizes;    // [levels]
    const uint8_t *occupied; // bits, x fastest
    const int32_t *shell;    // blocks of 2 x 2 x 2 cells that hold an occupied one and have a free neighbour
    Layer first, second, density, color, rgb;
    Conv sr[3];  // the last one's outputs are [2][2][4]; no weight: enlarge by interpolation alone
    int32_t levels, channels, blend_channels, warp_size, blend_size, grid, num_shell, max_steps;
    int32_t texture_size, torso_grid;
    float aabb[6], step, stop;
};
struct Frame {
    const float *warp;     // [warp_size][warp_size][4]
    const float *blend;    // [blend_size][blend_size][blend_channels]
    const float *bias;     // [first.groups*16] of the first layer, its own and the frame's
    const float *texture;  // [texture_size][texture_size][4] or none
    const float *shift;    // [torso_grid][torso_grid][4]: x, y and two idle
    const uint8_t *background;  // [height][width][3]
    float c2w[12], focal, cx, cy;
    int32_t height, width, threads, scale;  // the head is drawn `scale` times smaller
};
struct Output {
    uint8_t *picture;  // [height][width][3]
    int64_t samples;
    double seconds[3];  // drawing the head (at full size the whole picture), adding detail, finishing
};

namespace {

inline v16 load(const float *p) { v16 v; memcpy(&v, p, 64); return v; }
inline void store(float *p, v16 v) { memcpy(p, &v, 64); }
inline v4 load4(const float *p) { v4 v; memcpy(&v, p, 16); return v; }
inline v4 lesser4(v4 a, v4 b) { return a < b ? a : b; }
inline v4 greater4(v4 a, v4 b) { return a > b ? a : b; }
inline v16 lesser(v16 a, v16 b) { return a < b ? a : b; }
inline v16 greater(v16 a, v16 b) { return a > b ? a : b; }

// e^x within 2 ulp for |x| < 87.
inline v16 exp16(v16 x) {
    x = lesser(greater(x, v16{} - 87.f), v16{} + 87.f);
    v16 scaled = x * 1.44269504f;
    i16 n = __builtin_convertvector(scaled + (scaled < 0.f ? v16{} - .5f : v16{} + .5f), i16);
    v16 whole = __builtin_convertvector(n, v16);
    v16 r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    v16 p = v16{} + 1.9875691500e-4f;
    for (float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f}) p = p * r + c;
    p = p * r * r + r + 1.f;
    i16 bits = (n + 127) << 23;
    v16 power;
    memcpy(&power, &bits, 64);
    return p * power;
}

// Bilinear reading with the border's value outside: what F.grid_sample does with align_corners and padding "border".
// Along one axis: the lower node and the way to the next.
struct Nodes {
    i4 low;
    v4 way;
};
inline Nodes nodes_of(v4 position, int size) {
    const float most = float(size - 1), half = .5f * most;
    const v4 x = lesser4(greater4(position * half + half, v4{}), v4{} + most);
    i4 low = __builtin_convertvector(x, i4);
    low = low < size - 2 ? low : i4{} + (size - 2);
    return {low, x - __builtin_convertvector(low, v4)};
}
// The same for sixteen positions at once.
inline void nodes_of(const float *positions, int size, int32_t *low, float *way) {
    const float most = float(size - 1), half = .5f * most;
    const v16 x = lesser(greater(load(positions) * half + half, v16{}), v16{} + most);
    i16 node = __builtin_convertvector(x, i16);
    node = node < size - 2 ? node : i16{} + (size - 2);
    store(way, x - __builtin_convertvector(node, v16));
    memcpy(low, &node, 64);
}
// The four values from `channel` on of a plane [size][size][channels] between (column, row) and their neighbours.
inline v4 read4(const float *texels, int channels, int size, int column, int row, float u, float v) {
    const float *p = texels + (row * size + column) * channels, *q = p + size * channels;
    const v4 left = load4(p), right = load4(p + channels), left_below = load4(q), right_below = load4(q + channels);
    const v4 above = left + v * (left_below - left), next = right + v * (right_below - right);
    return above + u * (next - above);
}

// The same where a texel has four or eight values: neighbours in a row lie side by side, so one load takes both.
inline v4 pair4(const float *p, int row, float u, float v) {
    v8 above, below;
    memcpy(&above, p, 32);
    memcpy(&below, p + row, 32);
    const v8 both = above + v * (below - above);
    const v4 left = __builtin_shufflevector(both, both, 0, 1, 2, 3), right = __builtin_shufflevector(both, both, 4, 5, 6, 7);
    return left + u * (right - left);
}
inline v8 pair8(const float *p, int row, float u, float v) {
    const v16 above = load(p), below = load(p + row), both = above + v * (below - above);
    const v8 left = __builtin_shufflevector(both, both, 0, 1, 2, 3, 4, 5, 6, 7);
    const v8 right = __builtin_shufflevector(both, both, 8, 9, 10, 11, 12, 13, 14, 15);
    return left + u * (right - left);
}

#ifdef __AVX512BF16__
inline void put8(elem *p, v8 v) {
    __m128bh packed = _mm256_cvtneps_pbh((__m256)v);
    memcpy(p, &packed, 16);
}
inline void put4(elem *p, v4 v) {
    __m128bh packed = _mm_cvtneps_pbh((__m128)v);
    memcpy(p, &packed, 8);
}
inline void put16(elem *p, v16 v) {
    __m256bh packed = _mm512_cvtneps_pbh((__m512)v);
    memcpy(p, &packed, 32);
}
#else
inline void put4(elem *p, v4 v) { memcpy(p, &v, 16); }
inline void put8(elem *p, v8 v) { memcpy(p, &v, 32); }
inline void put16(elem *p, v16 v) { store(p, v); }
#endif

template <int GROUPS, int ROWS>
inline void begin_with(const float *bias, v16 (&sum)[ROWS][GROUPS]) {
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
        for (int g = 0; g < GROUPS; g++) sum[r][g] = load(bias + 16 * g);
}

// Add ROWS x (GROUPS*16) products in registers; inputs broadcast, weights streamed.
template <int GROUPS, int ROWS>
inline void block(const elem *x, int row, const void *weight, int inputs, v16 (&sum)[ROWS][GROUPS]) {
#ifdef __AVX512BF16__
    const int pairs = inputs / 2;
    const __m512i *w = (const __m512i *)weight;
    for (int k = 0; k < pairs; k++) {
        __m512i part[GROUPS];
#pragma GCC unroll 4
        for (int g = 0; g < GROUPS; g++) part[g] = _mm512_loadu_si512(w + g * pairs + k);
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; r++) {
            int32_t pair;
            memcpy(&pair, x + r * row + 2 * k, 4);
            const __m512bh value = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
            for (int g = 0; g < GROUPS; g++)
                sum[r][g] = (v16)_mm512_dpbf16_ps((__m512)sum[r][g], value, (__m512bh)part[g]);
        }
    }
#else
    const float *w = (const float *)weight;
    for (int k = 0; k < inputs; k++) {
        v16 part[GROUPS];
#pragma GCC unroll 4
        for (int g = 0; g < GROUPS; g++) part[g] = load(w + (g * inputs + k) * 16);
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
            for (int g = 0; g < GROUPS; g++) sum[r][g] += part[g] * x[r * row + k];
    }
#endif
}

template <int GROUPS, int ROWS, bool RELU, bool FLOAT>
inline void put(const v16 (&sum)[ROWS][GROUPS], void *y, int out_row) {
#ifdef __AVX512BF16__
    if (!FLOAT && GROUPS % 2 == 0) {  // two groups in one conversion; a negative bf16 is a negative integer too
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
            for (int g = 0; g + 1 < GROUPS; g += 2) {
                __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)sum[r][g + 1], (__m512)sum[r][g]);
                if (RELU) both = _mm512_max_epi16(both, _mm512_setzero_si512());
                _mm512_storeu_si512((elem *)y + r * out_row + 16 * g, both);
            }
        return;
    }
#endif
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
        for (int g = 0; g < GROUPS; g++) {
            const v16 value = RELU ? greater(sum[r][g], v16{}) : sum[r][g];
            if (FLOAT) store((float *)y + r * out_row + 16 * g, value);
            else put16((elem *)y + r * out_row + 16 * g, value);
        }
}

// y = x W + bias for rows (a multiple of 12) of x; y is elem, or float where FLOAT. With taps = 3, three rows of pixels
// `tap_row` apart are summed, each row of x being `inputs` numbers from three neighbouring pixels.
struct Product {
    const elem *x;
    int row, rows, taps, tap_row;
    const void *weight;
    const float *bias;
    int inputs, groups;
    void *y;
    int out_row;
};
template <int GROUPS, int ROWS, bool RELU, bool FLOAT>
inline void groups_of(const Product &p, int group) {
    const size_t one = size_t(p.inputs) * 16 * sizeof(elem), size = FLOAT ? sizeof(float) : sizeof(elem);
    for (int r = 0; r < p.rows; r += ROWS) {
        v16 sum[ROWS][GROUPS];
        begin_with<GROUPS, ROWS>(p.bias + 16 * group, sum);
        for (int t = 0; t < p.taps; t++)
            block<GROUPS, ROWS>(p.x + r * p.row + t * p.tap_row, p.row, (const char *)p.weight + (t * p.groups + group) * one, p.inputs, sum);
        put<GROUPS, ROWS, RELU, FLOAT>(sum, (char *)p.y + (size_t(r) * p.out_row + 16 * group) * size, p.out_row);
    }
}
template <bool RELU, bool FLOAT>
void multiply(const Product &p) {
    int group = 0;
#ifdef __AVX512F__
    for (; group + 4 <= p.groups; group += 4) groups_of<4, 6, RELU, FLOAT>(p, group);
    for (; group + 2 <= p.groups; group += 2) groups_of<2, 12, RELU, FLOAT>(p, group);
    for (; group < p.groups; group++) groups_of<1, 12, RELU, FLOAT>(p, group);
#else
    for (; group < p.groups; group++) groups_of<1, 6, RELU, FLOAT>(p, group);
#endif
}
template <bool RELU, bool FLOAT>
void linear(const elem *x, int row, int rows, const Layer &layer, const float *bias, void *y, int out_row) {
    multiply<RELU, FLOAT>({x, row, rows, 1, 0, layer.weight, bias, layer.inputs, layer.groups, y, out_row});
}

struct Ray {
    float box[3], slope[3];    // position in [-1,1] = box + slope * depth
    float cell[3], stride[3];  // the same in cells of the grid
    float length, light, color[3];
    int k, end, count, pixel;
};

struct Samples {
    int number = 0;
    int ray[RAYS * WAVE];
    float depth[RAYS * WAVE + CHUNK], light[RAYS * WAVE + CHUNK], rgb[3][RAYS * WAVE + CHUNK];
};

class Worker {
    const Person &person;
    const Frame &frame;
    std::vector<elem> features, hidden, other, geometry, shade;
    std::vector<float> density, logits;
    Samples samples;
    Ray rays[RAYS];
    int num_rays = 0;

  public:
    int64_t evaluated = 0;

    Worker(const Person &p, const Frame &f)
        : person(p), frame(f), features(CHUNK * p.first.inputs), hidden(CHUNK * p.first.groups * 16),
          other(CHUNK * p.second.groups * 16), geometry(CHUNK * p.density.groups * 16), shade(CHUNK * p.color.groups * 16),
          density(CHUNK * p.density.groups * 16), logits(CHUNK * p.rgb.groups * 16) {}

    // Blend what the tile's rays see into head [TILE*TILE][4].
    void tile(int top, int left, float near, float far, float *head) {
        begin(top, left, near, far);
        while (gather()) {
            for (int start = 0; start < samples.number; start += CHUNK) evaluate(start, std::min(CHUNK, samples.number - start));
            evaluated += samples.number;
            composite();
        }
        for (int i = 0; i < num_rays; i++) {
            const Ray &ray = rays[i];
            float *out = head + 4 * ray.pixel;
            for (int c = 0; c < 3; c++) out[c] = ray.color[c];
            out[3] = 1.f - ray.light;
        }
    }

  private:
    void begin(int top, int left, float near, float far) {
        num_rays = 0;
        const int bottom = std::min(top + TILE, frame.height), right = std::min(left + TILE, frame.width);
        for (int row = top; row < bottom; row++)
            for (int column = left; column < right; column++)
                if (aim(rays[num_rays], row, column, near, far)) rays[num_rays++].pixel = (row - top) * TILE + column - left;
    }

    bool aim(Ray &ray, int row, int column, float near, float far) {
        const float *m = frame.c2w, *low = person.aabb, *high = person.aabb + 3;
        const float x = (column + .5f - frame.cx) / frame.focal, y = -(row + .5f - frame.cy) / frame.focal;
        float square = 0.f;
        near = std::max(near, 0.f);
        for (int a = 0; a < 3; a++) {
            const float origin = m[4 * a + 3], d = m[4 * a] * x + m[4 * a + 1] * y - m[4 * a + 2];
            const float extent = high[a] - low[a], inverse = 1.f / (std::fabs(d) < 1e-9f ? 1e-9f : d);
            const float one = (low[a] - origin) * inverse, two = (high[a] - origin) * inverse;
            near = std::max(near, std::min(one, two));
            far = std::min(far, std::max(one, two));
            ray.box[a] = (origin - low[a]) * (2.f / extent) - 1.f;
            ray.slope[a] = d * (2.f / extent);
            ray.cell[a] = (origin - low[a]) * (person.grid / extent);
            ray.stride[a] = d * (person.grid / extent);
            square += d * d;
        }
        ray.k = int(std::ceil(near / person.step - .5f));
        ray.end = int(std::ceil(far / person.step - .5f));
        ray.length = std::sqrt(square);
        ray.light = 1.f;
        ray.count = 0;
        ray.color[0] = ray.color[1] = ray.color[2] = 0.f;
        return ray.k < ray.end;
    }

    bool occupied(const Ray &ray, float depth) const {
        const int last = person.grid - 1;
        int cell = 0;
        for (int a = 2; a >= 0; a--)
            cell = cell * person.grid + std::min(std::max(int(ray.cell[a] + ray.stride[a] * depth), 0), last);
        return person.occupied[cell >> 3] >> (cell & 7) & 1;
    }

    // Collect the next samples of every ray that is still open.
    bool gather() {
        samples.number = 0;
        for (int i = 0; i < num_rays; i++) {
            Ray &ray = rays[i];
            if (ray.light <= person.stop) continue;
            for (int taken = 0; ray.k < ray.end && ray.count < person.max_steps && taken < WAVE; ray.k++) {
                const float depth = (ray.k + .5f) * person.step;
                if (!occupied(ray, depth)) continue;
                samples.ray[samples.number] = i;
                samples.depth[samples.number++] = depth;
                ray.count++;
                taken++;
            }
        }
        return samples.number > 0;
    }

    // Features of up to sixteen samples.
    void read_features(int start, int number, elem *out) const {
        constexpr int N = 16;
        const int width = person.first.inputs, channels = person.channels, mixed = person.blend_channels;
        float at[3][N] = {}, mixing[2][N], way[3][N];
        int32_t low[3][N];
        for (int i = 0; i < number; i++) {
            const Ray &ray = rays[samples.ray[start + i]];
            for (int a = 0; a < 3; a++) at[a][i] = ray.box[a] + ray.slope[a] * samples.depth[start + i];
        }
        memcpy(mixing, at, sizeof mixing);
        if (const int size = person.warp_size) {
            for (int a = 0; a < 2; a++) nodes_of(at[a], size, low[a], way[a]);
            for (int i = 0; i < number; i++) {
                const v4 shift = pair4(frame.warp + 4 * (low[1][i] * size + low[0][i]), 4 * size, way[0][i], way[1][i]);
                at[0][i] -= shift[0], at[1][i] -= shift[1];
                mixing[0][i] -= shift[2], mixing[1][i] -= shift[3];
            }
        }
        const float *level = person.planes;
        for (int l = 0; l < person.levels; l++, out += 3 * channels) {
            const int size = person.sizes[l];
            for (int a = 0; a < 3; a++) nodes_of(at[a], size, low[a], way[a]);
            constexpr int axes[3][2] = {{0, 1}, {2, 1}, {0, 2}};
            for (int plane = 0; plane < 3; plane++, level += size * size * channels) {
                const int column = axes[plane][0], row = axes[plane][1];
                read_plane(level, channels, size, number, low[column], low[row], way[column], way[row], out + plane * channels, width);
            }
        }
        if (!mixed) return;
        for (int a = 0; a < 2; a++) nodes_of(mixing[a], person.blend_size, low[a], way[a]);
        read_plane(frame.blend, mixed, person.blend_size, number, low[0], low[1], way[0], way[1], out, width);
    }

    static void read_plane(const float *plane, int channels, int size, int number, const int32_t *column, const int32_t *row,
                           const float *u, const float *v, elem *out, int width) {
        if (channels == 4)
            for (int i = 0; i < number; i++, out += width)
                put4(out, pair4(plane + 4 * (row[i] * size + column[i]), 4 * size, u[i], v[i]));
        else if (channels == 8)
            for (int i = 0; i < number; i++, out += width)
                put8(out, pair8(plane + 8 * (row[i] * size + column[i]), 8 * size, u[i], v[i]));
        else
            for (int i = 0; i < number; i++, out += width)
                for (int c = 0; c < channels; c += 4)
                    put4(out + c, read4(plane + c, channels, size, column[i], row[i], u[i], v[i]));
    }

    void evaluate(int start, int number) {
        const int width = person.first.inputs, rows = (number + 11) / 12 * 12;
        for (int r = 0; r < number; r += 16) read_features(start + r, std::min(16, number - r), features.data() + r * width);
        const int a = person.first.groups * 16, b = person.second.groups * 16, g = person.density.groups * 16;
        const int s = person.color.groups * 16, o = person.rgb.groups * 16;
        linear<true, false>(features.data(), width, rows, person.first, frame.bias, hidden.data(), a);
        linear<true, false>(hidden.data(), a, rows, person.second, person.second.bias, other.data(), b);
        linear<false, true>(other.data(), b, rows, person.density, person.density.bias, density.data(), g);
        for (int i = 0; i < rows * g; i += 16) put16(geometry.data() + i, load(density.data() + i));
        linear<true, false>(geometry.data(), g, rows, person.color, person.color.bias, shade.data(), s);
        linear<false, true>(shade.data(), s, rows, person.rgb, person.rgb.bias, logits.data(), o);
        for (int r = 0; r < number; r++) {
            samples.light[start + r] = density[r * g];
            for (int c = 0; c < 3; c++) samples.rgb[c][start + r] = logits[r * o + c];
        }
        activate(start, number);
    }

    void activate(int start, int number) {
        float length[CHUNK + 16];
        for (int r = 0; r < number; r++) length[r] = rays[samples.ray[start + r]].length;
        for (int r = number; r < number + 16 && r < CHUNK + 16; r++) length[r] = 0.f;
        for (int r = 0; r < number; r += 16) {
            float *light = samples.light + start + r;
            const v16 thick = exp16(lesser(load(light) + FIRST_LOG_DENSITY, v16{} + MAX_LOG_DENSITY)) * load(length + r);
            store(light, exp16(-lesser(thick, v16{} + MAX_OPTICAL)));
            for (int c = 0; c < 3; c++) {
                float *value = samples.rgb[c] + start + r;
                store(value, 1.f / (1.f + exp16(-load(value))));
            }
        }
    }

    void composite() {
        for (int i = 0; i < samples.number; i++) {
            Ray &ray = rays[samples.ray[i]];
            if (ray.light <= person.stop) continue;
            float light = ray.light * samples.light[i];
            if (light < person.stop) light = 0.f;
            const float weight = ray.light - light;
            for (int c = 0; c < 3; c++) ray.color[c] += weight * samples.rgb[c][i];
            ray.light = light;
        }
    }
};

// Near and far depth of each tile: the shell of the occupied cells thrown onto the picture.
void tile_bounds(const Person &person, const Frame &frame, int rows, int columns, std::vector<float> &near, std::vector<float> &far) {
    near.assign(rows * columns, 1e9f);
    far.assign(rows * columns, -1e9f);
    const float *m = frame.c2w, *low = person.aabb, *high = person.aabb + 3;
    const int grid = (person.grid + 1) / 2;
    float size[3], square = 0.f;
    for (int a = 0; a < 3; a++) {
        size[a] = 2.f * (high[a] - low[a]) / person.grid;
        square += size[a] * size[a];
    }
    const float radius = .5f * std::sqrt(square);
    for (int i = 0; i < person.num_shell; i++) {
        int cell = person.shell[i];
        float p[3], seen[3];
        for (int a = 0; a < 3; a++, cell /= grid) p[a] = (cell % grid + .5f) * size[a] + low[a] - m[4 * a + 3];
        for (int a = 0; a < 3; a++) seen[a] = p[0] * m[a] + p[1] * m[4 + a] + p[2] * m[8 + a];
        const float depth = -seen[2];
        if (depth <= radius) continue;
        const float u = seen[0] / depth * frame.focal + frame.cx, v = frame.cy - seen[1] / depth * frame.focal;
        const float reach = 1.5f * frame.focal * radius / (depth - radius) + 1.f;
        const int left = std::max(int(std::floor((u - reach) / TILE)), 0), right = std::min(int(std::floor((u + reach) / TILE)), columns - 1);
        const int top = std::max(int(std::floor((v - reach) / TILE)), 0), bottom = std::min(int(std::floor((v + reach) / TILE)), rows - 1);
        for (int row = top; row <= bottom; row++)
            for (int column = left; column <= right; column++) {
                float &n = near[row * columns + column], &f = far[row * columns + column];
                n = std::min(n, depth - radius - person.step);
                f = std::max(f, depth + radius + person.step);
            }
    }
}

// Color times opacity and opacity of the torso at a row of up to TILE pixels, [4][TILE].
void draw_torso(const Person &person, const Frame &frame, int row, int left, int number, float (*lanes)[TILE]) {
    float at[2][TILE], way[2][TILE];
    int32_t low[2][TILE];
    for (int i = 0; i < TILE; i++) {
        at[0][i] = (left + i + .5f) * (2.f / frame.width) - 1.f;
        at[1][i] = (row + .5f) * (2.f / frame.height) - 1.f;
    }
    const int nodes = person.torso_grid, size = person.texture_size;
    for (int a = 0; a < 2; a++) nodes_of(at[a], nodes, low[a], way[a]);
    for (int i = 0; i < number; i++) {
        const v4 shift = pair4(frame.shift + 4 * (low[1][i] * nodes + low[0][i]), 4 * nodes, way[0][i], way[1][i]);
        at[0][i] += shift[0], at[1][i] += shift[1];
    }
    for (int a = 0; a < 2; a++) nodes_of(at[a], size, low[a], way[a]);
    for (int i = 0; i < number; i++) {
        const v4 texel = pair4(frame.texture + 4 * (low[1][i] * size + low[0][i]), 4 * size, way[0][i], way[1][i]);
        for (int c = 0; c < 4; c++) lanes[c][i] = texel[c];
    }
    const v16 alpha = 1.f / (1.f + exp16(-load(lanes[3])));
    for (int c = 0; c < 3; c++) store(lanes[c], alpha / (1.f + exp16(-load(lanes[c]))));
    store(lanes[3], alpha);
}

// Lay a tile of the head over torso and background; write 8 bits.
void finish(const Person &person, const Frame &frame, int top, int left, const float *head, uint8_t *picture) {
    const int bottom = std::min(top + TILE, frame.height), number = std::min(TILE, frame.width - left);
    for (int row = top; row < bottom; row++) {
        float lanes[4][TILE] = {};
        if (frame.texture) draw_torso(person, frame, row, left, number, lanes);
        const float *front = head + 4 * (row - top) * TILE;
        const size_t start = 3 * (size_t(row) * frame.width + left);
        for (int i = 0; i < number; i++, front += 4) {
            const uint8_t *behind = frame.background + start + 3 * i;
            v4 value{float(behind[0]), float(behind[1]), float(behind[2]), 0.f};
            value = v4{lanes[0][i], lanes[1][i], lanes[2][i], 0.f} + (1.f - lanes[3][i]) * (1.f / 255.f) * value;
            value = load4(front) + (1.f - front[3]) * value;
            const i4 grey = __builtin_convertvector(lesser4(greater4(value, v4{}), v4{} + 1.f) * 255.f + .5f, i4);
            for (int c = 0; c < 3; c++) picture[start + 3 * i + c] = uint8_t(grey[c]);
        }
    }
}

// Run work(i) for i below number in all threads.
template <class Work>
void share(int threads, int number, const Work &work) {
    std::atomic<int> next{0};
    auto loop = [&] { work(next); };
    std::vector<std::thread> helpers;
    for (int i = 1; i < std::min(threads, number); i++) helpers.emplace_back(loop);
    loop();
    for (auto &helper : helpers) helper.join();
}

// The head at the small size and what makes it large.
class Small {
    static constexpr int SLACK = 12;
    const Person &person;
    const Frame &frame;
    int padded;  // pixels in a row with a border of one and room for the last block of pixels
    std::vector<float> detail;
    std::vector<elem> layers[3];

  public:
    const int height, width, columns;
    std::vector<float> head;      // [height][width][4]
    std::vector<uint8_t> filled;  // tiles with something in them

    Small(const Person &p, const Frame &f)
        : person(p), frame(f), height((f.height + f.scale - 1) / f.scale), width((f.width + f.scale - 1) / f.scale),
          columns((width + TILE - 1) / TILE), head(4 * size_t(height) * width),
          filled(size_t(columns) * ((height + TILE - 1) / TILE)) {
        padded = width + 2 + SLACK;
    }

    Frame view() const {
        Frame view = frame;
        view.focal /= frame.scale, view.cx /= frame.scale, view.cy /= frame.scale;
        view.height = height, view.width = width;
        return view;
    }

    void take(int top, int left, const float *tile) {
        filled[top / TILE * columns + left / TILE] = 1;
        for (int row = top; row < std::min(top + TILE, height); row++)
            memcpy(&head[4 * (size_t(row) * width + left)], tile + 4 * (row - top) * TILE, 16 * size_t(std::min(TILE, width - left)));
    }

    bool near(int top, int left) const {
        for (int row = top / TILE - 1; row <= top / TILE + 1; row++)
            for (int column = left / TILE - 1; column <= left / TILE + 1; column++)
                if (row >= 0 && column >= 0 && column < columns && row * TILE < height && filled[row * columns + column]) return true;
        return false;
    }

    void add_detail() {
        if (!person.sr[0].weight || frame.scale != 2) return;
        const size_t pixels = size_t(height + 2) * padded;
        for (int i = 0; i < 3; i++) layers[i].assign(pixels * person.sr[i].channels + 64, elem(0));
        detail.assign(size_t(height) * padded * 16, 0.f);
        for (int row = 0; row < height; row++)
            for (int column = 0; column < width; column++)
                put4(&layers[0][4 * (size_t(row + 1) * padded + column + 1)], load4(&head[4 * (size_t(row) * width + column)]));
        for (int i = 0; i < 3; i++)
            share(frame.threads, height, [&](std::atomic<int> &next) {
                for (int row; (row = next++) < height;) convolve(i, row);
            });
    }

    // Write the pixels of a tile of the full picture: interpolation and detail.
    void enlarge(int top, int left, float *tile) const {
        const float shrink = 1.f / frame.scale;
        for (int row = top; row < std::min(top + TILE, frame.height); row++) {
            const float y = std::max((row + .5f) * shrink - .5f, 0.f);
            const int y0 = int(y), y1 = std::min(y0 + 1, height - 1);
            for (int column = left; column < std::min(left + TILE, frame.width); column++) {
                const float x = std::max((column + .5f) * shrink - .5f, 0.f);
                const int x0 = int(x), x1 = std::min(x0 + 1, width - 1);
                const v4 a = pixel(y0, x0), b = pixel(y1, x0), c = pixel(y0, x1), d = pixel(y1, x1);
                const v4 one = a + (y - y0) * (b - a), two = c + (y - y0) * (d - c);
                v4 value = one + (x - x0) * (two - one);
                if (!detail.empty()) {
                    value += load4(&detail[16 * (size_t(row / 2) * padded + column / 2) + 8 * (row & 1) + 4 * (column & 1)]);
                    value = lesser4(greater4(value, v4{}), v4{} + 1.f);
                }
                memcpy(tile + 4 * ((row - top) * TILE + column - left), &value, 16);
            }
        }
    }

  private:
    v4 pixel(int row, int column) const { return load4(&head[4 * (size_t(row) * width + column)]); }

    // One row of one layer, the tiles near the head only; the border stays zero.
    void convolve(int i, int row) {
        const Conv &conv = person.sr[i];
        const int channels = conv.channels, outputs = conv.groups * 16;
        for (int left = 0; left < width; left += TILE) {
            if (!near(row, left)) continue;
            int right = left + TILE;
            while (right < width && near(row, right)) right += TILE;
            right = std::min(right, width);
            const int rows = (right - left + 11) / 12 * 12;
            const elem *x = &layers[i][channels * (size_t(row) * padded + left)];
            const Product product{x, channels, rows, 3, channels * padded, conv.weight, conv.bias, 3 * channels, conv.groups, nullptr, outputs};
            if (i < 2) {
                Product inner = product;
                inner.y = &layers[i + 1][outputs * (size_t(row + 1) * padded + left + 1)];
                multiply<true, false>(inner);
                elem *border = &layers[i + 1][outputs * (size_t(row + 1) * padded + width + 1)];
                std::fill(border, border + outputs, elem(0));
            } else {
                Product last = product;
                last.y = &detail[16 * (size_t(row) * padded + left)];
                multiply<false, true>(last);
                for (int column = left; column < right; column++)
                    if (!seen_around(row, column)) std::fill_n(&detail[16 * (size_t(row) * padded + column)], 16, 0.f);
            }
            left = right / TILE * TILE;
        }
    }

    bool seen_around(int row, int column) const {
        for (int r = std::max(row - 1, 0); r <= std::min(row + 1, height - 1); r++)
            for (int c = std::max(column - 1, 0); c <= std::min(column + 1, width - 1); c++)
                if (head[4 * (size_t(r) * width + c) + 3] > 0.f) return true;
        return false;
    }
};

// Call done(top, left, head of the tile or none, whether there may be something) for every tile of a view.
template <class Done>
int64_t draw_tiles(const Person &person, const Frame &frame, const Done &done) {
    const int rows = (frame.height + TILE - 1) / TILE, columns = (frame.width + TILE - 1) / TILE;
    std::vector<float> near, far;
    tile_bounds(person, frame, rows, columns, near, far);
    std::atomic<int64_t> total{0};
    share(frame.threads, rows * columns, [&](std::atomic<int> &next) {
        Worker worker(person, frame);
        std::vector<float> head(4 * RAYS);
        for (int tile; (tile = next++) < rows * columns;) {
            const int top = tile / columns * TILE, left = tile % columns * TILE;
            const bool filled = far[tile] > near[tile];
            std::fill(head.begin(), head.end(), 0.f);
            if (filled) worker.tile(top, left, near[tile], far[tile], head.data());
            done(top, left, head.data(), filled);
        }
        total += worker.evaluated;
    });
    return total;
}

}  // namespace

extern "C" int gf_uses_bf16() { return sizeof(elem) == 2; }

extern "C" void gf_render(const Person *person, const Frame *frame, Output *output) {
    auto last = std::chrono::steady_clock::now();
    auto lap = [&](int stage) {
        const auto now = std::chrono::steady_clock::now();
        output->seconds[stage] = std::chrono::duration<double>(now - last).count();
        last = now;
    };
    if (frame->scale == 1) {
        output->samples = draw_tiles(*person, *frame, [&](int top, int left, const float *head, bool) {
            finish(*person, *frame, top, left, head, output->picture);
        });
        lap(0);
        return;
    }
    Small small(*person, *frame);
    output->samples = draw_tiles(*person, small.view(), [&](int top, int left, const float *head, bool filled) {
        if (filled) small.take(top, left, head);
    });
    lap(0);
    small.add_detail();
    lap(1);
    const int rows = (frame->height + TILE - 1) / TILE, columns = (frame->width + TILE - 1) / TILE;
    share(frame->threads, rows * columns, [&](std::atomic<int> &next) {
        float head[4 * RAYS];
        for (int tile; (tile = next++) < rows * columns;) {
            const int top = tile / columns * TILE, left = tile % columns * TILE;
            if (small.near(top / frame->scale, left / frame->scale)) small.enlarge(top, left, head);
            else memset(head, 0, sizeof head);
            finish(*person, *frame, top, left, head, output->picture);
        }
    });
    lap(2);
}

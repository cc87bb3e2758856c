// The 3x3 convolution of stride 1 by Winograd's minimal filtering, F(4x4, 3x3): 36 multiplications where the sum has 144.
//
// Lavin and Gray 2016, "Fast algorithms for convolutional neural networks" (arXiv:1509.09308). An output tile of 4x4
// pixels is A' [sum over channels of (G g G') * (B' d B)] A, for the 6x6 pixels d below it and the kernel g. Here the
// matrices are those of the points 0, +-P, +-Q and infinity, which lose fewer digits than the paper's 0, +-1, +-2.
// G g G' is packed beforehand (winograd.py). Images lie channels last, in float32, or in bfloat16 where the processor
// multiplies it; sums are in float32.
//
// A block of tiles is transformed, multiplied and transformed back before the next, so that it stays in the cache.

#include <stdint.h>
#include <stdlib.h>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

typedef float Vector __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint32_t Bits __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t Halves __attribute__((vector_size(32), aligned(2), may_alias));

constexpr int LANES = 16, PANEL = 2 * LANES, POINTS = 36, BLOCK = 12;
#ifdef __AVX512F__
constexpr int ROWS = 12;  // of sums that are held in registers
#else
constexpr int ROWS = 3;
#endif
constexpr float P = 0.625f, Q = 1.5f, P2 = P * P, Q2 = Q * Q;

static inline Vector load(const float *from) { return *(const Vector *)from; }

static inline void store(float *to, Vector value) { *(Vector *)to = value; }

static inline Vector load(const uint16_t *from) {
    return (Vector)(__builtin_convertvector(*(const Halves *)from, Bits) << 16);
}

static inline void store(uint16_t *to, Vector value) {  // rounded to the nearest, halves to even
    const Bits bits = (Bits)value;
    *(Halves *)to = __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, Halves);
}

template <int STEP>
static inline void forth(const Vector *d, Vector *v) {  // B' d
    const Vector even = d[4 * STEP] - Q2 * d[2 * STEP], odd = P * (d[3 * STEP] - Q2 * d[STEP]);
    const Vector even2 = d[4 * STEP] - P2 * d[2 * STEP], odd2 = Q * (d[3 * STEP] - P2 * d[STEP]);
    v[0] = P2 * Q2 * d[0] - (P2 + Q2) * d[2 * STEP] + d[4 * STEP];
    v[STEP] = even + odd;
    v[2 * STEP] = even - odd;
    v[3 * STEP] = even2 + odd2;
    v[4 * STEP] = even2 - odd2;
    v[5 * STEP] = P2 * Q2 * d[STEP] - (P2 + Q2) * d[3 * STEP] + d[5 * STEP];
}

template <int STEP>
static inline void back(const Vector *m, Vector *y) {  // A' m
    const Vector even = m[STEP] + m[2 * STEP], odd = m[STEP] - m[2 * STEP];
    const Vector even2 = m[3 * STEP] + m[4 * STEP], odd2 = m[3 * STEP] - m[4 * STEP];
    y[0] = m[0] + even + even2;
    y[STEP] = P * odd + Q * odd2;
    y[2 * STEP] = P2 * even + Q2 * even2;
    y[3 * STEP] = P2 * P * odd + Q2 * Q * odd2 + m[5 * STEP];
}

template <typename Number>
static void read_tile(const Number *image, int H, int W, int C, int top, int left, Number *to, int64_t stride) {
    const bool inside = top >= 0 && left >= 0 && top + 6 <= H && left + 6 <= W;
    for (int c = 0; c < C; c += LANES) {
        Vector d[POINTS], half[POINTS];
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 6; j++) {
                const int row = top + i, column = left + j;
                const bool there = inside || (row >= 0 && row < H && column >= 0 && column < W);
                d[6 * i + j] = there ? load(image + ((int64_t)row * W + column) * C + c) : Vector{};
            }
        for (int j = 0; j < 6; j++) forth<6>(d + j, half + j);
        for (int i = 0; i < 6; i++) forth<1>(half + 6 * i, d + 6 * i);
        for (int p = 0; p < POINTS; p++) store(to + p * stride + c, d[p]);
    }
}

template <typename Number>
static void write_tile(const float *from, int64_t stride, const float *bias, Number *image, int H, int W, int K,
                       int top, int left) {
    Vector m[POINTS], half[POINTS], y[POINTS];
    for (int p = 0; p < POINTS; p++) m[p] = load(from + p * stride);
    for (int j = 0; j < 6; j++) back<6>(m + j, half + j);
    for (int i = 0; i < 4; i++) back<1>(half + 6 * i, y + 6 * i);
    for (int i = 0; i < 4 && top + i < H; i++)
        for (int j = 0; j < 4 && left + j < W; j++)
            store(image + ((int64_t)(top + i) * W + left + j) * K, y[6 * i + j] + load(bias));
}

// ROWS tiles times one panel of the kernel, over C channels.
static void multiply(const float *v, int C, const float *u, float *m) {
    Vector sum[ROWS][2] = {};
    for (int c = 0; c < C; c++) {
        const Vector first = load(u + (int64_t)c * PANEL), second = load(u + (int64_t)c * PANEL + LANES);
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; r++) {
            const float value = v[(int64_t)r * C + c];
            sum[r][0] += value * first;
            sum[r][1] += value * second;
        }
    }
    for (int r = 0; r < ROWS; r++)
        for (int half = 0; half < 2; half++) store(m + r * PANEL + half * LANES, sum[r][half]);
}

#ifdef __AVX512BF16__
static void multiply(const uint16_t *v, int C, const uint16_t *u, float *m) {  // two channels at a time
    __m512 sum[ROWS][2] = {};
    for (int c = 0; c < C; c += 2) {
        const __m512bh first = (__m512bh)_mm512_loadu_si512(u + (int64_t)c * PANEL);
        const __m512bh second = (__m512bh)_mm512_loadu_si512(u + (int64_t)c * PANEL + 2 * LANES);
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; r++) {
            int pair;
            __builtin_memcpy(&pair, v + (int64_t)r * C + c, 4);
            const __m512bh value = (__m512bh)_mm512_set1_epi32(pair);
            sum[r][0] = _mm512_dpbf16_ps(sum[r][0], value, first);
            sum[r][1] = _mm512_dpbf16_ps(sum[r][1], value, second);
        }
    }
    for (int r = 0; r < ROWS; r++)
        for (int half = 0; half < 2; half++) _mm512_storeu_ps(m + r * PANEL + half * LANES, sum[r][half]);
}
#endif

template <typename Number>
static int convolve(const Number *x, const Number *u, const float *bias, Number *y, int B, int H, int W, int C, int K,
                    int padding, int threads) {
    const int high = H + 2 * padding - 2, wide = W + 2 * padding - 2;  // of the output
    const int across = (wide + 3) / 4, each = (high + 3) / 4 * across;
    const int64_t tiles = (int64_t)B * each;
    // A kernel that no cache holds is read once for each block: then blocks are larger, where there are tiles enough.
    const int block = (int64_t)C * K >= 1 << 17 && tiles >= 3 * BLOCK * threads ? 3 * BLOCK : BLOCK;
    const int64_t blocks = (tiles + block - 1) / block;
    const int64_t v_stride = (int64_t)block * C + LANES, m_stride = (int64_t)block * PANEL + LANES;  // off powers of 2
    int failed = 0;
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        Number *v = (Number *)aligned_alloc(64, POINTS * v_stride * sizeof(Number));
        float *m = (float *)aligned_alloc(64, POINTS * m_stride * sizeof(float));
        failed = !v || !m;
#pragma omp for schedule(static)
        for (int64_t b = 0; b < blocks; b++) {
            if (failed) continue;
            const int64_t first = b * block;
            const int count = (int)(tiles - first < block ? tiles - first : block);
            for (int t = 0; t < count; t++) {
                const int64_t image = (first + t) / each;
                const int top = (int)((first + t) % each) / across * 4, left = (int)((first + t) % each) % across * 4;
                read_tile(x + image * H * W * C, H, W, C, top - padding, left - padding, v + (int64_t)t * C, v_stride);
            }
            for (int k = 0; k < K; k += PANEL) {
                for (int p = 0; p < POINTS; p++) {
                    const Number *panel = u + ((int64_t)k / PANEL * POINTS + p) * C * PANEL;
                    for (int t = 0; t < count; t += ROWS)
                        multiply(v + p * v_stride + (int64_t)t * C, C, panel, m + p * m_stride + t * PANEL);
                }
                for (int t = 0; t < count; t++) {
                    const int64_t image = (first + t) / each;
                    const int top = (int)((first + t) % each) / across * 4;
                    const int left = (int)((first + t) % each) % across * 4;
                    for (int c = k; c < K && c < k + PANEL; c += LANES)
                        write_tile(m + t * PANEL + c - k, m_stride, bias + c, y + image * high * wide * K + c, high,
                                   wide, K, top, left);
                }
            }
        }
        free(v);
        free(m);
    }
    return failed;
}

// x (B, H, W, C) and y (B, H + 2 padding - 2, W + 2 padding - 2, K), C and K multiples of 16; u as winograd.py packs it.
// Returns 0, or 1 where memory is short.
extern "C" int winograd_float32(const float *x, const float *u, const float *bias, float *y, int B, int H, int W, int C,
                                int K, int padding, int threads) {
    return convolve(x, u, bias, y, B, H, W, C, K, padding, threads);
}

#ifdef __AVX512BF16__
extern "C" int winograd_bfloat16(const uint16_t *x, const uint16_t *u, const float *bias, uint16_t *y, int B, int H,
                                 int W, int C, int K, int padding, int threads) {
    return convolve(x, u, bias, y, B, H, W, C, K, padding, threads);
}
#endif

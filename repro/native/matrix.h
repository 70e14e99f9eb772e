// Small matrix products and tanh on vector registers.
//
// Every element of a product is one chain of multiply-adds over the depth, in order, whatever block
// it is computed in: its bits depend on its row and its column alone.

#pragma once

#include <cmath>
#include <cstdint>
#include <utility>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#ifdef __AVX512F__
constexpr int64_t kWidth = 16;
#else
constexpr int64_t kWidth = 8;
#endif

typedef float Vec __attribute__((vector_size(kWidth * sizeof(float)), aligned(4), may_alias));

inline Vec load(const float* p) { return *reinterpret_cast<const Vec*>(p); }
inline void store(float* p, Vec x) { *reinterpret_cast<Vec*>(p) = x; }
inline Vec splat(float x) { return x - Vec{}; }

// a b + c. The compiler is told to fuse nothing by itself: it would do so in some blocks and not in
// others, and then bits would hang on how many rows are computed together.
inline Vec multiply_add(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

inline int64_t round_up(int64_t size) { return (size + kWidth - 1) / kWidth * kWidth; }

// R rows by V vectors of c = a b (+ bias), held in registers. a is [rows, depth], or its transpose.
template <int R, int V, bool kTransposed>
inline void block(int64_t depth, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                  int64_t ldc, const float* bias) {
  Vec sum[R][V];
#pragma GCC unroll 16
  for (int v = 0; v < V; ++v) {
    const Vec start = bias ? load(bias + v * kWidth) : Vec{};
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) sum[r][v] = start;
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vec row[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) row[v] = load(b + k * ldb + v * kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Vec x = splat(kTransposed ? a[k * lda + r] : a[r * lda + k]);
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sum[r][v] = multiply_add(x, row[v], sum[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) store(c + r * ldc + v * kWidth, sum[r][v]);
}

// `rows` rows, R at a time, and what is left over R - 1 at a time, and so on.
template <int R, int V, bool kTransposed>
inline void panel(int64_t rows, int64_t depth, const float* a, int64_t lda, const float* b,
                  int64_t ldb, float* c, int64_t ldc, const float* bias) {
  for (; rows >= R; rows -= R, a += kTransposed ? R : R * lda, c += R * ldc)
    block<R, V, kTransposed>(depth, a, lda, b, ldb, c, ldc, bias);
  if constexpr (R > 1)
    if (rows > 0) panel<R - 1, V, kTransposed>(rows, depth, a, lda, b, ldb, c, ldc, bias);
}

// c [rows, columns] = a [rows, depth] b [depth, columns] + bias [columns], columns a multiple of
// kWidth. With kTransposed, a is stored as [depth, rows]. The blocks leave 16 registers room for
// 12 sums, which is what hides the latency of a multiply-add.
template <bool kTransposed>
void multiply(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t lda,
              const float* b, int64_t ldb, float* c, int64_t ldc, const float* bias) {
  int64_t j = 0;
  const auto at = [&](int64_t column) { return bias ? bias + column : nullptr; };
  if (rows == 1)
    for (; j + 8 * kWidth <= columns; j += 8 * kWidth)
      block<1, 8, kTransposed>(depth, a, lda, b + j, ldb, c + j, ldc, at(j));
  for (; j + 2 * kWidth <= columns; j += 2 * kWidth)
    panel<6, 2, kTransposed>(rows, depth, a, lda, b + j, ldb, c + j, ldc, at(j));
  if (j < columns)
    panel<12, 1, kTransposed>(rows, depth, a, lda, b + j, ldb, c + j, ldc, at(j));
}

// out [columns]: the sum of the rows of a.
inline void sum_rows(int64_t rows, int64_t columns, const float* a, int64_t lda, float* out) {
  for (int64_t j = 0; j < columns; j += kWidth) {
    Vec sum{};
    for (int64_t i = 0; i < rows; ++i) sum += load(a + i * lda + j);
    store(out + j, sum);
  }
}

inline float sum_of_squares(const float* x, int64_t size) {
  Vec sums[4] = {};
  for (int64_t i = 0; i < size; i += kWidth) {
    Vec& part = sums[i / kWidth % 4];
    part = multiply_add(load(x + i), load(x + i), part);
  }
  const Vec total = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  float sum = 0;
  for (int64_t lane = 0; lane < kWidth; ++lane) sum += total[lane];
  return sum;
}

typedef float Octet __attribute__((vector_size(32), aligned(4), may_alias));
template <int... kIndices>
using Indices = std::integer_sequence<int, kIndices...>;

// Exchanges the off-diagonal quarters of every 2 kStep by 2 kStep part of an 8 by 8 matrix.
template <int kStep, int... kFirst, int... kSecond>
inline void exchange(Octet (&x)[8], Indices<kFirst...>, Indices<kSecond...>) {
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i)
    if (!(i & kStep)) {
      const Octet above = x[i], below = x[i + kStep];
      x[i] = __builtin_shufflevector(above, below, kFirst...);
      x[i + kStep] = __builtin_shufflevector(above, below, kSecond...);
    }
}

// out [columns, rows] = a [rows, columns] transposed; both sizes multiples of 8.
inline void transpose(int64_t rows, int64_t columns, const float* a, int64_t lda, float* out,
                      int64_t ldo) {
  for (int64_t i = 0; i < rows; i += 8)
    for (int64_t j = 0; j < columns; j += 8) {
      Octet x[8];
#pragma GCC unroll 8
      for (int k = 0; k < 8; ++k) x[k] = *reinterpret_cast<const Octet*>(a + (i + k) * lda + j);
      exchange<1>(x, Indices<0, 8, 2, 10, 4, 12, 6, 14>{}, Indices<1, 9, 3, 11, 5, 13, 7, 15>{});
      exchange<2>(x, Indices<0, 1, 8, 9, 4, 5, 12, 13>{}, Indices<2, 3, 10, 11, 6, 7, 14, 15>{});
      exchange<4>(x, Indices<0, 1, 2, 3, 8, 9, 10, 11>{}, Indices<4, 5, 6, 7, 12, 13, 14, 15>{});
#pragma GCC unroll 8
      for (int k = 0; k < 8; ++k) *reinterpret_cast<Octet*>(out + (j + k) * ldo + i) = x[k];
    }
}

// tanh x = x P(x^2) / Q(x^2) on [-8, 8], +-1 to float32 outside: a minimax fit of its own, whose
// error in float32 is below 3e-7 (tests/test_native.py).
inline Vec tanh(Vec x) {
  x = x < splat(-8.0f) ? splat(-8.0f) : x;
  x = x > splat(8.0f) ? splat(8.0f) : x;
  const Vec z = x * x;
  constexpr float kP[] = {1.5061718983133687e-08f, 2.177317946916446e-05f, 0.003564152168110013f,
                          0.13438187539577484f, 0.9999999403953552f};
  constexpr float kQ[] = {8.453624218418554e-07f, 0.00033991728560067713f, 0.026135999709367752f,
                          0.4677150845527649f, 1.0f};
  Vec p = splat(kP[0]), q = splat(kQ[0]);
#pragma GCC unroll 4
  for (int i = 1; i < 5; ++i) {
    p = multiply_add(p, z, splat(kP[i]));
    q = multiply_add(q, z, splat(kQ[i]));
  }
  return x * p / q;
}

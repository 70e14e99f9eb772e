// Small matrix products and tanh on vector registers.
//
// Every element of a product is one chain of multiply-adds over the depth, in order, whatever block
// it is computed in: its bits depend on its row and its column alone.

#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>
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

// Zeros that start on a cache line, so that no row of 16 straddles two.
class Buffer {
 public:
  explicit Buffer(int64_t size = 0) { resize(size); }
  void resize(int64_t size) { lines_.resize((size + 15) / 16), size_ = size; }
  float* data() { return reinterpret_cast<float*>(lines_.data()); }
  float& operator[](int64_t i) { return data()[i]; }
  float* begin() { return data(); }
  float* end() { return data() + size_; }

 private:
  struct alignas(64) Line {
    float entries[16] = {};
  };
  std::vector<Line> lines_;
  int64_t size_ = 0;
};

inline int64_t round_up(int64_t size) { return (size + kWidth - 1) / kWidth * kWidth; }

// What happens to an element of a product on its way from the register to memory: by default nothing.
struct Keep {
  Vec operator()(Vec sum, const float*) const { return sum; }
};

// c = finish(a b + bias), block by block. a is [rows, depth], or with kTransposed [depth, rows].
template <bool kTransposed, class Finish>
struct Product {
  int64_t depth;
  const float* a;
  int64_t lda;
  const float* b;
  int64_t ldb;
  float* c;
  int64_t ldc;
  const float* bias;  // or null
  Finish finish;

  // R rows by V vectors, held in registers.
  template <int R, int V>
  inline void block(int64_t i, int64_t j) const {
    const float* x = a + (kTransposed ? i : i * lda);
    Vec sum[R][V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      const Vec start = bias ? load(bias + j + v * kWidth) : Vec{};
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) sum[r][v] = start;
    }
    for (int64_t k = 0; k < depth; ++k) {
      Vec row[V];
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) row[v] = load(b + k * ldb + j + v * kWidth);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const Vec entry = splat(kTransposed ? x[k * lda + r] : x[r * lda + k]);
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) sum[r][v] = multiply_add(entry, row[v], sum[r][v]);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) {
        float* out = c + (i + r) * ldc + j + v * kWidth;
        store(out, finish(sum[r][v], out));
      }
  }

  // Rows i to `rows`, R at a time, and what is left over R - 1 at a time, and so on.
  template <int R, int V>
  inline void panel(int64_t i, int64_t rows, int64_t j) const {
    for (; i + R <= rows; i += R) block<R, V>(i, j);
    if constexpr (R > 1)
      if (i < rows) panel<R - 1, V>(i, rows, j);
  }
};

// c [rows, columns] = finish(a [rows, depth] b [depth, columns] + bias [columns]); columns is a
// multiple of kWidth. The blocks leave 16 registers room for 12 sums, which hide the latency of a
// multiply-add.
template <bool kTransposed, class Finish = Keep>
void multiply(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t lda,
              const float* b, int64_t ldb, float* c, int64_t ldc, const float* bias = nullptr,
              Finish finish = {}) {
  const Product<kTransposed, Finish> product{depth, a, lda, b, ldb, c, ldc, bias, finish};
  int64_t j = 0;
  if (rows == 1)
    for (; j + 8 * kWidth <= columns; j += 8 * kWidth) product.template block<1, 8>(0, j);
  for (; j + 2 * kWidth <= columns; j += 2 * kWidth) product.template panel<6, 2>(0, rows, j);
  // Twelve rows of one vector where it matters, in the heads; fewer elsewhere, to compile sooner.
  constexpr int kTall = std::is_same_v<Finish, Keep> ? 12 : 6;
  if (j < columns) product.template panel<kTall, 1>(0, rows, j);
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
// error in float32 is below 3e-7 (tests/engines/test_native.py).
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

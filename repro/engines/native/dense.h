// Products of large matrices: those of matrix.h, with blocks of the depth that the caches hold.

#pragma once

#include <algorithm>
#include <cstdint>

#include "matrix.h"

constexpr int64_t kDepthBlock = 256, kRowBlock = 256, kColumnBlock = 2 * kWidth;

// c [rows, columns] = finish(a b + bias), element by element one chain over the depth, as `multiply`;
// columns is a multiple of 2 kWidth. a is [rows, depth], with kATransposed [depth, rows]; b is
// [depth, columns], with kBTransposed [columns, depth].
template <bool kATransposed, bool kBTransposed, class Finish = Keep>
class LargeProduct {
 public:
  int64_t rows, columns, depth;
  const float* a;
  int64_t lda;
  const float* b;
  int64_t ldb;
  float* c;
  int64_t ldc;
  const float* bias;
  Finish finish;

  void compute(Buffer& packed) const {
    packed.resize(kDepthBlock * kColumnBlock);
    // Few rows do not pay for copying b.
    const bool packs = kBTransposed || rows > 16;
    const int64_t deep = packs ? kDepthBlock : 64;
    for (int64_t k = 0; k < depth; k += deep) {
      const int64_t count = std::min(deep, depth - k);
      for (int64_t first = 0; first < rows; first += kRowBlock) {
        const int64_t last = std::min(first + kRowBlock, rows);
        for (int64_t j = 0; j < columns; j += kColumnBlock) {
          const float* strip = b + k * ldb + j;
          if (packs) pack(k, j, count, packed.data()), strip = packed.data();
          panel<12>(first, last, j, k, count, strip, packs ? kColumnBlock : ldb);
        }
      }
    }
  }

 private:
  void pack(int64_t k, int64_t j, int64_t count, float* out) const {
    if (kBTransposed && count % 8 == 0) {
      transpose(kColumnBlock, count, b + j * ldb + k, ldb, out, kColumnBlock);
      return;
    }
    for (int64_t i = 0; i < count; ++i, out += kColumnBlock)
      for (int64_t n = 0; n < kColumnBlock; ++n)
        out[n] = kBTransposed ? b[(j + n) * ldb + k + i] : b[(k + i) * ldb + j + n];
  }

  template <int R>
  void panel(int64_t i, int64_t rows, int64_t j, int64_t k, int64_t count, const float* strip,
             int64_t ld) const {
    for (; i + R <= rows; i += R) block<R>(i, j, k, count, strip, ld);
    if constexpr (R > 1)
      if (i < rows) panel<(R > 8 ? R - 4 : R / 2)>(i, rows, j, k, count, strip, ld);
  }

  template <int R>
  void block(int64_t i, int64_t j, int64_t k, int64_t count, const float* strip, int64_t ld) const {
    Vec sum[R][2];
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v)
        sum[r][v] = k      ? load(c + (i + r) * ldc + j + v * kWidth)
                    : bias ? load(bias + j + v * kWidth)
                           : Vec{};
    const float* x = kATransposed ? a + k * lda + i : a + i * lda + k;
    for (int64_t n = 0; n < count; ++n, strip += ld) {
      const Vec row[2] = {load(strip), load(strip + kWidth)};
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) {
        const Vec entry = splat(kATransposed ? x[n * lda + r] : x[r * lda + n]);
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) sum[r][v] = multiply_add(entry, row[v], sum[r][v]);
      }
    }
    const bool ends = k + count == depth;
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        float* place = c + (i + r) * ldc + j + v * kWidth;
        store(place, ends ? finish(sum[r][v], place) : sum[r][v]);
      }
  }
};

// Screens in grey, and made smaller by areas: the bits of the emulator and of OpenCV's INTER_AREA.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "matrix.h"

namespace {

constexpr int64_t kBlock = 16;   // columns that are computed together
constexpr int64_t kWindow = 32;  // inputs from which they may be chosen at once

// Filled by screens.py, field by field. A column is sum_t weights[t] x[sources[t]], t ascending; then
// entry e of the rows adds row_weights[e] times row row_sources[e] to row row_targets[e] of the output.
struct Resize {
  const int32_t* sources;  // [taps, padded size], in each block from its first input
  const float* weights;    // [taps, padded size]
  const int64_t* firsts;   // of each block; negative: its inputs do not fit into a window
  const int64_t *row_sources, *row_targets;
  const float* row_weights;
  int64_t taps, width, size, row_entries;
};

int64_t padded(int64_t size) { return (size + kBlock - 1) / kBlock * kBlock; }

void columns(const Resize& o, const float* x, float* out) {
  const int64_t stride = padded(o.size);
  for (int64_t j = 0; j < stride; j += kBlock) {
    const int64_t first = o.firsts[j / kBlock];
#ifdef __AVX512F__
    if (first >= 0) {
      const __m512 low = _mm512_loadu_ps(x + first), high = _mm512_loadu_ps(x + first + kBlock);
      __m512 sum = _mm512_setzero_ps();
      for (int64_t t = 0; t < o.taps; ++t) {
        const __m512i source = _mm512_loadu_si512(o.sources + t * stride + j);
        const __m512 entry = _mm512_permutex2var_ps(low, source, high);
        const __m512 part = _mm512_mul_ps(entry, _mm512_loadu_ps(o.weights + t * stride + j));
        sum = _mm512_add_ps(sum, part);
      }
      _mm512_storeu_ps(out + j, sum);
      continue;
    }
#endif
    const float* from = x + (first < 0 ? -first - 1 : first);
    for (int64_t i = j; i < j + kBlock; ++i) {
      float sum = 0;
      for (int64_t t = 0; t < o.taps; ++t)
        sum += from[o.sources[t * stride + i]] * o.weights[t * stride + i];
      out[i] = sum;
    }
  }
}

void finish(const float* sum, int64_t size, uint8_t* out) {
  for (int64_t i = 0; i < size; ++i) out[i] = (uint8_t)(int32_t)std::nearbyint(sum[i]);
}

}  // namespace

extern "C" {

// out[i] = shades[screen[i]]; returns whether all of these are known, which is 0 or 128 of each color.
int64_t shade_screen(const uint8_t* shades, const uint8_t* known, const uint8_t* screen,
                     int64_t size, uint8_t* out) {
  int64_t i = 0;
  bool all = true;
#ifdef __AVX512VBMI__
  __m512i colors[4], certain[4];
  for (int64_t n = 0; n < 4; ++n) {
    colors[n] = _mm512_loadu_si512(shades + 64 * n), certain[n] = _mm512_loadu_si512(known + 64 * n);
  }
  for (; i + 64 <= size; i += 64) {
    const __m512i x = _mm512_loadu_si512(screen + i);
    const __mmask64 high = _mm512_movepi8_mask(x);
    const auto look = [&](const __m512i* table) {
      return _mm512_mask_blend_epi8(high, _mm512_permutex2var_epi8(table[0], x, table[1]),
                                    _mm512_permutex2var_epi8(table[2], x, table[3]));
    };
    _mm512_storeu_si512(out + i, look(colors));
    all &= _mm512_movepi8_mask(look(certain)) == ~__mmask64(0);
  }
#endif
  for (; i < size; ++i) out[i] = shades[screen[i]], all &= known[screen[i]] != 0;
  return all;
}

int64_t resize_size() { return sizeof(Resize); }

// screen [height, width] -> out [size, size]
void resize_screen(const Resize* resize, const uint8_t* screen, uint8_t* out) {
  const Resize& o = *resize;
  const int64_t stride = padded(o.size);
  Buffer x(o.width + kWindow), row(stride), sum(stride);
  int64_t done = -1;  // the row that `row` was made from
  for (int64_t e = 0; e < o.row_entries; ++e) {
    const int64_t source = o.row_sources[e], target = o.row_targets[e];
    if (source != done) {
      for (int64_t i = 0; i < o.width; ++i) x[i] = screen[source * o.width + i];
      columns(o, x.data(), row.data());
      done = source;
    }
    const float weight = o.row_weights[e];
    if (e == 0 || target != o.row_targets[e - 1]) {
      if (e) finish(sum.data(), o.size, out + (target - 1) * o.size);
      for (int64_t i = 0; i < stride; ++i) sum[i] = weight * row[i];
    } else {
      for (int64_t i = 0; i < stride; ++i) sum[i] += weight * row[i];
    }
  }
  finish(sum.data(), o.size, out + (o.size - 1) * o.size);
}
}

// Convolutions without padding, forward and backward, of one image at a time.
//
// A layer reads pixels whose channels are neighbors, except the first one, which reads planes. As in
// matrix.h every sum is one chain of multiply-adds in a fixed order, so that no bit depends on the
// block that computes it. Outputs come in multiples of kWidth channels.

#pragma once

#include <cstdint>
#include <vector>

#include "matrix.h"

// The sums of R pixels by V vectors of channels: sum_k x[pixel + offsets[k]] w[k], kStep floats apart.
template <int R, int V, int kStep, class Finish>
inline void pixels(const float* x, const std::vector<int64_t>& offsets, const float* w, int64_t ldw,
                   const float* bias, float* out, int64_t out_step, Finish finish) {
  Vec sum[R][V];
#pragma GCC unroll 20
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[r][v] = bias ? load(bias + v * kWidth) : Vec{};
  for (const int64_t offset : offsets) {
    Vec row[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) row[v] = load(w + v * kWidth);
    w += ldw;
#pragma GCC unroll 20
    for (int r = 0; r < R; ++r) {
      const Vec entry = splat(x[offset + r * kStep]);
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[r][v] = multiply_add(entry, row[v], sum[r][v]);
    }
  }
#pragma GCC unroll 20
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
      float* place = out + r * out_step + v * kWidth;
      store(place, finish(sum[r][v], place));
    }
}

// A row of `count` pixels, R at a time, and what is left over fewer at a time.
template <int R, int V, int kStep, class Finish>
inline void pixel_row(int64_t count, const float* x, const std::vector<int64_t>& offsets,
                      const float* w, int64_t ldw, const float* bias, float* out, int64_t out_step,
                      Finish finish) {
  for (; count >= R; count -= R, x += R * kStep, out += R * out_step)
    pixels<R, V, kStep>(x, offsets, w, ldw, bias, out, out_step, finish);
  constexpr int kNext = R > 10 ? 10 : R > 7 ? R - 1 : R / 2;
  if constexpr (R > 1)
    if (count) pixel_row<kNext, V, kStep>(count, x, offsets, w, ldw, bias, out, out_step, finish);
}

template <int kStep, class Finish>
inline void pixel_row(int64_t count, int64_t channels, const float* x,
                      const std::vector<int64_t>& offsets, const float* w, const float* bias,
                      float* out, int64_t out_step, Finish finish) {
  int64_t j = 0;
  for (; j + 2 * kWidth <= channels; j += 2 * kWidth)
    pixel_row<10, 2, kStep>(count, x, offsets, w + j, channels, bias ? bias + j : bias, out + j,
                            out_step, finish);
  if (j < channels)
    pixel_row<20, 1, kStep>(count, x, offsets, w + j, channels, bias ? bias + j : bias, out + j,
                            out_step, finish);
}

// The distances between neighboring pixels of a row for which code is compiled.
constexpr int64_t kSteps[] = {4, 16, 32, 64};

template <class Finish>
inline void pixel_row(int64_t step, int64_t count, int64_t channels, const float* x,
                      const std::vector<int64_t>& offsets, const float* w, const float* bias,
                      float* out, int64_t out_step, Finish finish) {
  const auto row = step == 4    ? pixel_row<4, Finish>
                   : step == 16 ? pixel_row<16, Finish>
                   : step == 32 ? pixel_row<32, Finish>
                                : pixel_row<64, Finish>;
  row(count, channels, x, offsets, w, bias, out, out_step, finish);
}

struct Rectify {
  Vec operator()(Vec z, const float*) const { return z < Vec{} ? Vec{} : z; }  // keeps NaN
};

// The upstream gradient where the output at the same place is positive.
struct Passed {
  const float *gradient, *outputs;
  Vec operator()(Vec sum, const float* place) const {
    return load(outputs + (place - gradient)) > Vec{} ? sum : Vec{};
  }
};

// One layer: weights [outputs, inputs, kernel, kernel], as in torch.
class Convolution {
 public:
  int64_t inputs, outputs, kernel, stride, height, width;
  bool planes;
  int64_t rows, columns;  // of the output

  Convolution(int64_t inputs, int64_t outputs, int64_t kernel, int64_t stride, int64_t height,
              int64_t width, bool planes)
      : inputs(inputs),
        outputs(outputs),
        kernel(kernel),
        stride(stride),
        height(height),
        width(width),
        planes(planes),
        rows((height - kernel) / stride + 1),
        columns((width - kernel) / stride + 1),
        weights_(depth() * outputs),
        gradient_(depth() * outputs) {
    if (planes)
      for (int64_t c = 0; c < inputs; ++c)
        for (int64_t y = 0; y < kernel; ++y)
          for (int64_t x = 0; x < kernel; ++x) add(c * height * width + y * width + x, c, y, x);
    else
      for (int64_t y = 0; y < kernel; ++y)
        for (int64_t x = 0; x < kernel; ++x)
          for (int64_t c = 0; c < inputs; ++c) add((y * width + x) * inputs + c, c, y, x);
  }

  int64_t depth() const { return inputs * kernel * kernel; }
  int64_t input_size() const { return inputs * height * width; }
  int64_t output_size() const { return rows * columns * outputs; }

  // Lays the weights, scaled, out for `forward`.
  void prepare(const float* weights, float scale) {
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t k = 0; k < depth(); ++k)
        weights_[k * outputs + o] = weights[o * depth() + sources_[k]] * scale;
  }

  // y [rows, columns, outputs] = relu(x * weights + bias)
  void forward(const float* x, const float* bias, float* y) {
    for (int64_t i = 0; i < rows; ++i)
      pixel_row(step(), columns, outputs, x + i * stride * line(), offsets_, weights_.data(), bias,
                y + i * columns * outputs, outputs, Rectify{});
  }

  // Lays the weights out for `input_gradient`: those of each class of input pixels by themselves.
  void prepare_gradient(const float* weights) {
    taps_ = kernel / stride;
    padded_rows_ = (height - 1) / stride + taps_, padded_columns_ = (width - 1) / stride + taps_;
    padded_.resize(padded_rows_ * padded_columns_ * outputs);
    by_class_.resize(depth() * outputs);
    float* out = by_class_.data();
    for (int64_t y = 0; y < stride; ++y)
      for (int64_t x = 0; x < stride; ++x)
        for (int64_t t = kernel - stride + y; t >= 0; t -= stride)
          for (int64_t u = kernel - stride + x; u >= 0; u -= stride)
            for (int64_t o = 0; o < outputs; ++o)
              for (int64_t c = 0; c < inputs; ++c)
                *out++ = weights[((o * inputs + c) * kernel + t) * kernel + u];
    upstream_offsets_.clear();
    for (int64_t t = 0; t < taps_; ++t)
      for (int64_t u = 0; u < taps_; ++u)
        for (int64_t o = 0; o < outputs; ++o)
          upstream_offsets_.push_back((t * padded_columns_ + u) * outputs + o);
  }

  // d [height, width, inputs] = the gradient of the inputs where the inputs x are positive; g
  // [rows, columns, outputs]. A pixel's class is its place modulo the stride: all pixels of a class
  // meet the same weights, as in a convolution of stride 1.
  void input_gradient(const float* g, const float* x, float* d) {
    for (int64_t i = 0; i < rows; ++i)
      std::copy_n(g + i * columns * outputs, columns * outputs,
                  padded_.data() + ((i + taps_ - 1) * padded_columns_ + taps_ - 1) * outputs);
    const int64_t size = taps_ * taps_ * outputs * inputs;
    for (int64_t i = 0; i < height; ++i)
      for (int64_t first = 0; first < stride; ++first) {
        const float* w = by_class_.data() + (i % stride * stride + first) * size;
        pixel_row(outputs, (width - first + stride - 1) / stride, inputs,
                  padded_.data() + i / stride * padded_columns_ * outputs, upstream_offsets_, w,
                  nullptr, d + (i * width + first) * inputs, stride * inputs, Passed{d, x});
      }
  }

  void clear_gradient() { std::fill(gradient_.begin(), gradient_.end(), 0.0f); }

  // Adds one image's part of the gradient of the weights: x the inputs, g as above.
  void add_gradient(const float* x, const float* g) {
    int64_t j = 0;
    for (; j + 2 * kWidth <= outputs; j += 2 * kWidth)
      for (int64_t k = 0; k < depth(); k += 8) add_entries<2, 2>(k, j, x, g);
    if (j < outputs)
      for (int64_t k = 0; k < depth(); k += 16) add_entries<4, 1>(k, j, x, g);
  }

  // The sum of what was added, scaled, in torch's layout.
  void gradient(float scale, float* out) {
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t k = 0; k < depth(); ++k)
        out[o * depth() + sources_[k]] = gradient_[k * outputs + o] * scale;
  }

 private:
  void add(int64_t offset, int64_t c, int64_t y, int64_t x) {
    offsets_.push_back(offset);
    sources_.push_back((c * kernel + y) * kernel + x);
  }
  int64_t step() const { return planes ? stride : stride * inputs; }
  int64_t line() const { return planes ? width : width * inputs; }

  // Q quadruples of neighboring inputs by V vectors of outputs.
  template <int Q, int V>
  void add_entries(int64_t k, int64_t j, const float* x, const float* g) {
    Vec sum[4 * Q][V];
    const float* sources[Q];
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q) sources[q] = x + offsets_[k + 4 * q];
#pragma GCC unroll 16
    for (int r = 0; r < 4 * Q; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[r][v] = load(&gradient_[(k + r) * outputs + j + v * kWidth]);
    g += j;
    for (int64_t i = 0; i < rows; ++i) {
      int64_t place = i * stride * line();
      for (int64_t n = 0; n < columns; ++n, place += step(), g += outputs) {
        Vec row[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) row[v] = load(g + v * kWidth);
#pragma GCC unroll 16
        for (int r = 0; r < 4 * Q; ++r) {
          const Vec entry = splat(sources[r / 4][place + r % 4]);
#pragma GCC unroll 2
          for (int v = 0; v < V; ++v) sum[r][v] = multiply_add(entry, row[v], sum[r][v]);
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < 4 * Q; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) store(&gradient_[(k + r) * outputs + j + v * kWidth], sum[r][v]);
  }

  std::vector<int64_t> offsets_, sources_;  // by k: from a pixel to an input, and torch's place
  std::vector<int64_t> upstream_offsets_;
  int64_t taps_ = 0, padded_rows_ = 0, padded_columns_ = 0;
  Buffer weights_, gradient_, by_class_, padded_;
};

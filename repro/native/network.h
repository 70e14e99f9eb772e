// Multilayer perceptrons of P learners: forward and backward passes, one learner after the other.
//
// Weights are [inputs, outputs] with rows of `stride` floats, a multiple of 16 whose spare entries
// are zero (repro/layers.py). No learner's arithmetic depends on its place in the pack.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "matrix.h"

struct Layer {
  int64_t inputs, outputs, stride;
  int64_t weight, bias;  // offsets in a learner's row of parameters

  int64_t columns() const { return round_up(outputs); }
};

using Tower = std::vector<Layer>;  // hidden layers, then a linear head

// layers: how many, then (inputs, outputs, stride, weight, bias) of each.
inline Tower read_tower(const int64_t* layers) {
  Tower tower;
  const int64_t count = *layers++;
  for (int64_t i = 0; i < count; ++i, layers += 5)
    tower.push_back({layers[0], layers[1], layers[2], layers[3], layers[4]});
  return tower;
}

enum Activation : int64_t { kTanh = 0, kRelu = 1 };

inline void activate(Activation activation, float* x, int64_t size) {
  if (activation == kTanh) {
    for (int64_t i = 0; i < size; i += kWidth) store(x + i, tanh(load(x + i)));
  } else {
    for (int64_t i = 0; i < size; ++i) x[i] = std::max(x[i], 0.0f);
  }
}

// The upstream gradient times the activation's slope at its output y, in place.
inline void activation_gradient(Activation activation, const float* y, float* gradient, int64_t size) {
  if (activation == kTanh) {
    for (int64_t i = 0; i < size; ++i) gradient[i] *= 1.0f - y[i] * y[i];
  } else {
    for (int64_t i = 0; i < size; ++i) gradient[i] = y[i] > 0.0f ? gradient[i] : 0.0f;
  }
}

// One tower at up to `rows` samples, with what its gradient needs.
class Pass {
 public:
  Pass(const Tower& tower, Activation activation, int64_t rows)
      : tower_(tower), activation_(activation), outputs_(tower.size()) {
    for (size_t i = 0; i < tower.size(); ++i) outputs_[i].resize(rows * tower[i].stride);
  }

  // To be called once before the first `backward`.
  void prepare_gradient(int64_t rows) {
    int64_t widest = 0;
    for (const Layer& layer : tower_) widest = std::max(widest, layer.stride);
    upstream_.resize(rows * widest);
    downstream_.resize(rows * widest);
    transposed_.resize(widest * widest);
  }

  // The head's outputs, [rows, head().stride].
  const float* forward(const float* parameters, const float* x, int64_t rows) {
    input_ = x;
    for (size_t i = 0; i < tower_.size(); ++i) {
      const Layer& layer = tower_[i];
      float* y = outputs_[i].data();
      multiply<false>(rows, layer.columns(), layer.inputs, x, stride_of_input(i),
                      parameters + layer.weight, layer.stride, y, layer.stride,
                      parameters + layer.bias);
      if (i + 1 < tower_.size()) {
        // The columns up to the stride have zero weights and biases, but were not written.
        for (int64_t r = 0; layer.columns() < layer.stride && r < rows; ++r)
          std::fill(y + r * layer.stride + layer.columns(), y + (r + 1) * layer.stride, 0.0f);
        activate(activation_, y, rows * layer.stride);
      }
      x = y;
    }
    return x;
  }

  // d loss / d head outputs, to be filled in before `backward`: [rows, head().stride].
  float* upstream() { return upstream_.data(); }

  // Writes d loss / d parameters of this tower into `gradient`.
  void backward(const float* parameters, float* gradient, int64_t rows) {
    for (size_t i = tower_.size(); i-- > 0;) {
      const Layer& layer = tower_[i];
      const float* x = i > 0 ? outputs_[i - 1].data() : input_;
      const float* d_z = upstream_.data();
      multiply<true>(layer.inputs, layer.columns(), rows, x, stride_of_input(i), d_z, layer.stride,
                     gradient + layer.weight, layer.stride, nullptr);
      sum_rows(rows, layer.columns(), d_z, layer.stride, gradient + layer.bias);
      if (i == 0) break;
      const int64_t stride = tower_[i - 1].stride;
      transpose(stride, layer.columns(), parameters + layer.weight, layer.stride,
                transposed_.data(), stride);
      multiply<false>(rows, stride, layer.outputs, d_z, layer.stride, transposed_.data(), stride,
                      downstream_.data(), stride, nullptr);
      activation_gradient(activation_, x, downstream_.data(), rows * stride);
      std::swap(upstream_, downstream_);
    }
  }

  const Layer& head() const { return tower_.back(); }

 private:
  int64_t stride_of_input(size_t i) const { return i > 0 ? tower_[i - 1].stride : tower_[0].inputs; }

  const Tower& tower_;
  Activation activation_;
  const float* input_ = nullptr;
  std::vector<std::vector<float>> outputs_;
  std::vector<float> upstream_, downstream_, transposed_;
};

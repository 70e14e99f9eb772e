// Multilayer perceptrons of P learners: forward and backward passes, one learner after the other.
//
// Weights are [inputs, outputs] with rows of `stride` floats, a multiple of 16 whose spare entries
// are zero (repro/networks/layers.py). No learner's arithmetic depends on its place in the pack.

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

// The activations y(z), and the upstream gradient times the slope at y, as the last step of a product.
struct Tanh {
  Vec operator()(Vec z, const float*) const { return tanh(z); }
};
struct Relu {
  Vec operator()(Vec z, const float*) const { return z < Vec{} ? Vec{} : z; }  // keeps NaN
};

// The gradient's place in memory tells which output it belongs to. `other`: what a second network
// adds to the gradient, or null.
struct TanhSlope {
  const float *gradient, *outputs, *other;
  Vec operator()(Vec sum, const float* place) const {
    const Vec y = load(outputs + (place - gradient));
    if (other) sum += load(other + (place - gradient));
    return sum * (1.0f - y * y);
  }
};
struct ReluSlope {
  const float *gradient, *outputs, *other;
  Vec operator()(Vec sum, const float* place) const {
    if (other) sum += load(other + (place - gradient));
    return load(outputs + (place - gradient)) > Vec{} ? sum : Vec{};
  }
};

// The change of the activations along parameters: what the place holds already is added first.
struct AlongTanh {
  const float *tangent, *outputs;
  bool add;
  Vec operator()(Vec sum, const float* place) const {
    const Vec y = load(outputs + (place - tangent));
    return (add ? sum + load(place) : sum) * (1.0f - y * y);
  }
};
struct AlongRelu {
  const float *tangent, *outputs;
  bool add;
  Vec operator()(Vec sum, const float* place) const {
    const Vec dz = add ? sum + load(place) : sum;
    return load(outputs + (place - tangent)) > Vec{} ? dz : Vec{};
  }
};
struct Add {
  Vec operator()(Vec sum, const float* place) const { return sum + load(place); }
};

// One tower at up to `rows` samples, with what its gradient needs.
class Pass {
 public:
  // input_stride: floats from one sample's inputs to the next one's.
  Pass(const Tower& tower, Activation activation, int64_t rows, int64_t input_stride)
      : tower_(tower),
        activation_(activation),
        input_stride_(input_stride),
        outputs_(tower.size()) {
    for (size_t i = 0; i < tower.size(); ++i) outputs_[i].resize(rows * tower[i].stride);
  }

  // To be called once before the first `backward`.
  void prepare_gradient(int64_t rows) {
    int64_t widest = input_stride_;
    for (const Layer& layer : tower_) widest = std::max(widest, layer.stride);
    upstream_.resize(rows * widest);
    downstream_.resize(rows * widest);
    transposed_.resize(widest * widest);
  }

  // The head's outputs, [rows, head().stride].
  const float* forward(const float* parameters, const float* x, int64_t rows) {
    parameters_ = parameters, input_ = x;
    for (size_t i = 0; i < tower_.size(); ++i) {
      // Columns between outputs and stride are never written: they stay zero.
      if (i + 1 == tower_.size())
        apply(i, x, rows, Keep{});
      else if (activation_ == kTanh)
        apply(i, x, rows, Tanh{});
      else
        apply(i, x, rows, Relu{});
      x = outputs_[i].data();
    }
    return x;
  }

  // d loss / d head outputs, to be filled in before `backward`: [rows, head().stride].
  float* upstream() { return upstream_.data(); }

  // The last hidden layer's outputs, after `forward`.
  const float* features() { return outputs_[tower_.size() - 2].data(); }

  // d loss / d inputs of a tower that is but a head, after `backward`: [rows, input stride].
  const float* input_gradient(int64_t rows) {
    const Layer& head = tower_.front();
    transpose(input_stride_, head.columns(), parameters_ + head.weight, head.stride,
              transposed_.data(), input_stride_);
    multiply<false>(rows, input_stride_, head.outputs, upstream_.data(), head.stride,
                    transposed_.data(), input_stride_, downstream_.data(), input_stride_);
    return downstream_.data();
  }

  // Writes d loss / d parameters of this tower into `gradient`, after `forward`. `other`: what
  // another head adds to the gradient of the features, or null.
  void backward(float* gradient, int64_t rows, const float* other = nullptr) {
    for (size_t i = tower_.size(); i-- > 0;) {
      const Layer& layer = tower_[i];
      const float* x = i > 0 ? outputs_[i - 1].data() : input_;
      const float* d_z = upstream_.data();
      multiply<true>(layer.inputs, layer.columns(), rows, x, stride_of_input(i), d_z, layer.stride,
                     gradient + layer.weight, layer.stride);
      sum_rows(rows, layer.columns(), d_z, layer.stride, gradient + layer.bias);
      if (i == 0) break;
      const int64_t stride = tower_[i - 1].stride;
      transpose(stride, layer.columns(), parameters_ + layer.weight, layer.stride,
                transposed_.data(), stride);
      float* d_x = downstream_.data();
      if (activation_ == kTanh)
        propagate(i, rows, TanhSlope{d_x, x, other});
      else
        propagate(i, rows, ReluSlope{d_x, x, other});
      std::swap(upstream_, downstream_);
      other = nullptr;
    }
  }

  // To be called once before the first `tangent`.
  void prepare_tangent(int64_t rows) {
    tangents_.resize(tower_.size());
    for (size_t i = 0; i < tower_.size(); ++i) tangents_[i].resize(rows * tower_[i].stride);
  }

  // How the head's outputs change along the parameters' change v, after `forward`.
  const float* tangent(const float* v, int64_t rows) {
    for (size_t i = 0; i < tower_.size(); ++i) {
      const Layer& layer = tower_[i];
      const bool last = i + 1 == tower_.size();
      const float* x = i > 0 ? outputs_[i - 1].data() : input_;
      // dz = x dW + db, then + dx W.
      along(i, rows, x, stride_of_input(i), v, v + layer.bias, i > 0 || last, false);
      if (i > 0)
        along(i, rows, tangents_[i - 1].data(), stride_of_input(i), parameters_, nullptr, last,
              true);
    }
    return tangents_.back().data();
  }

  const Layer& head() const { return tower_.back(); }

 private:
  // One of the two products of `tangent`: with the activation's slope unless `linear`.
  void along(size_t i, int64_t rows, const float* x, int64_t ldx, const float* parameters,
             const float* bias, bool linear, bool add) {
    const Layer& layer = tower_[i];
    float* out = tangents_[i].data();
    const auto product = [&](auto finish) {
      multiply<false>(rows, layer.columns(), layer.inputs, x, ldx, parameters + layer.weight,
                      layer.stride, out, layer.stride, bias, finish);
    };
    if (linear && add)
      product(Add{});
    else if (linear)
      product(Keep{});
    else if (activation_ == kTanh)
      product(AlongTanh{out, outputs_[i].data(), add});
    else
      product(AlongRelu{out, outputs_[i].data(), add});
  }

  template <class Finish>
  void apply(size_t i, const float* x, int64_t rows, Finish finish) {
    const Layer& layer = tower_[i];
    multiply<false>(rows, layer.columns(), layer.inputs, x, stride_of_input(i),
                    parameters_ + layer.weight, layer.stride, outputs_[i].data(), layer.stride,
                    parameters_ + layer.bias, finish);
  }

  template <class Finish>
  void propagate(size_t i, int64_t rows, Finish finish) {
    const int64_t stride = tower_[i - 1].stride;
    multiply<false>(rows, stride, tower_[i].outputs, upstream_.data(), tower_[i].stride,
                    transposed_.data(), stride, downstream_.data(), stride, nullptr, finish);
  }

  int64_t stride_of_input(size_t i) const { return i > 0 ? tower_[i - 1].stride : input_stride_; }

  const Tower& tower_;
  Activation activation_;
  int64_t input_stride_;
  const float *parameters_ = nullptr, *input_ = nullptr;
  std::vector<Buffer> outputs_, tangents_;
  Buffer upstream_, downstream_, transposed_;
};

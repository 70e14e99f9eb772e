// The trunk of networks of frames: convolutions and a dense layer, each with a ReLU, forward and
// backward, learner by learner and image by image, so that an image stays in the caches. Stacks are
// read where the rollout keeps their frames.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "convolution.h"
#include "dense.h"

namespace {

constexpr float kScale = 1.0f / 255;  // to [0, 1]; scaling the first weights instead is cheaper

// Filled by trunk.py, field by field.
struct Trunk {
  const int64_t* layers;      // how many, then (inputs, outputs, kernel, stride) of each
  const uint8_t* frames;      // [P, frames_per_learner, height, width]
  const int64_t* index;       // [P, M, stack], which of a learner's frames
  const float** parameters;   // weight and bias of each layer, the dense one last
  float** gradients;          // likewise, and upstream of them all: none but by `backward`
  float** outputs;            // of each layer, [P, M, ...], for `backward`; or null, but for the
                              // last convolution's and the dense layer's
  const int64_t* strides;     // of parameters from learner to learner
  const float* upstream;      // [P, M, units]
  int64_t height, width, frames_per_learner, learners, samples, units;
};

class TrunkPass {
 public:
  explicit TrunkPass(const Trunk& trunk) : o_(trunk), count_(trunk.layers[0]) {
    int64_t height = o_.height, width = o_.width;
    for (int64_t i = 0; i < count_; ++i) {
      const int64_t* layer = o_.layers + 1 + 4 * i;
      layers_.emplace_back(layer[0], layer[1], layer[2], layer[3], height, width, i == 0);
      height = layers_[i].rows, width = layers_[i].columns;
      scratch_.emplace_back(o_.outputs[i] ? 0 : layers_[i].output_size());
    }
    planes_.resize(layers_[0].input_size());
    features_ = layers_.back().output_size();
  }

  void forward(int64_t p) {
    for (int64_t i = 0; i < count_; ++i) layers_[i].prepare(parameter(p, 2 * i), i ? 1 : kScale);
    for (int64_t m = 0; m < o_.samples; ++m) {
      const float* x = planes(p, m);
      for (int64_t i = 0; i < count_; ++i) {
        layers_[i].forward(x, parameter(p, 2 * i + 1), output(p, m, i));
        x = output(p, m, i);
      }
    }
    LargeProduct<false, false, Rectify>{
        o_.samples, o_.units,  features_,      output(p, 0, count_ - 1), features_,
        parameter(p, 2 * count_), o_.units, hidden(p), o_.units, parameter(p, 2 * count_ + 1), {}}
        .compute(packed_);
  }

  void backward(int64_t p) {
    const int64_t M = o_.samples, H = o_.units, F = features_;
    upstream_.resize(M * H), gradient_.resize(M * F);
    for (int64_t i = 0; i < M * H; i += kWidth) {
      const float* place = upstream_.data() + i;
      store(upstream_.data() + i, Passed{place, hidden(p) + i}(load(o_.upstream + p * M * H + i), place));
    }
    float* features = output(p, 0, count_ - 1);
    LargeProduct<true, false>{F, H, M, features, F, upstream_.data(), H, gradient(p, 2 * count_),
                              H, nullptr, {}}.compute(packed_);
    sum_rows(M, H, upstream_.data(), H, gradient(p, 2 * count_ + 1));
    LargeProduct<false, true, Passed>{M, F, H, upstream_.data(), H, parameter(p, 2 * count_), H,
                                      gradient_.data(), F, nullptr, {gradient_.data(), features}}
        .compute(packed_);
    convolutions(p);
  }

 private:
  void convolutions(int64_t p) {
    std::vector<Buffer> upstream(count_), biases(count_);
    for (int64_t i = 0; i < count_; ++i) {
      layers_[i].clear_gradient();
      if (i) layers_[i].prepare_gradient(parameter(p, 2 * i));
      upstream[i].resize(layers_[i].output_size());
      biases[i].resize(layers_[i].outputs);
    }
    for (int64_t m = 0; m < o_.samples; ++m) {
      const float* g = gradient_.data() + m * features_;
      for (int64_t i = count_ - 1; i >= 0; --i) {
        Convolution& layer = layers_[i];
        add_rows(layer, g, biases[i].data());
        const float* x = i ? output(p, m, i - 1) : planes(p, m);
        layer.add_gradient(x, g);
        if (i) layer.input_gradient(g, x, upstream[i - 1].data()), g = upstream[i - 1].data();
      }
    }
    for (int64_t i = 0; i < count_; ++i) {
      layers_[i].gradient(i ? 1 : kScale, gradient(p, 2 * i));
      std::copy_n(biases[i].data(), layers_[i].outputs, gradient(p, 2 * i + 1));
    }
  }

  static void add_rows(const Convolution& layer, const float* g, float* sums) {
    for (int64_t j = 0; j < layer.outputs; j += kWidth) {
      Vec sum = load(sums + j);
      for (int64_t i = 0; i < layer.rows * layer.columns; ++i) sum += load(g + i * layer.outputs + j);
      store(sums + j, sum);
    }
  }

  const float* parameter(int64_t p, int64_t i) const {
    return o_.parameters[i] + p * o_.strides[i];
  }
  float* gradient(int64_t p, int64_t i) const {
    const int64_t layer = i / 2;
    const int64_t outputs = layer == count_ ? o_.units : layers_[layer].outputs;
    const int64_t depth = layer == count_ ? features_ : layers_[layer].depth();
    return o_.gradients[i] + p * outputs * (i % 2 ? 1 : depth);
  }
  float* output(int64_t p, int64_t m, int64_t i) {
    if (!o_.outputs[i]) return scratch_[i].data();
    return o_.outputs[i] + (p * o_.samples + m) * layers_[i].output_size();
  }
  float* hidden(int64_t p) const { return o_.outputs[count_] + p * o_.samples * o_.units; }

  // A sample's stack as floats, [stack, height, width].
  const float* planes(int64_t p, int64_t m) {
    const int64_t size = o_.height * o_.width, stack = layers_[0].inputs;
    for (int64_t s = 0; s < stack; ++s) {
      const int64_t frame = o_.index[(p * o_.samples + m) * stack + s];
      const uint8_t* from = o_.frames + (p * o_.frames_per_learner + frame) * size;
      float* to = planes_.data() + s * size;
      for (int64_t i = 0; i < size; ++i) to[i] = from[i];
    }
    return planes_.data();
  }

  const Trunk& o_;
  int64_t count_, features_;
  std::vector<Convolution> layers_;
  std::vector<Buffer> scratch_;
  Buffer planes_, upstream_, gradient_, packed_;
};

}  // namespace

extern "C" {

int64_t lanes() { return kWidth; }
int64_t trunk_size() { return sizeof(Trunk); }

void trunk_forward(const Trunk* trunk) {
  TrunkPass pass(*trunk);
  for (int64_t p = 0; p < trunk->learners; ++p) pass.forward(p);
}

void trunk_backward(const Trunk* trunk) {
  TrunkPass pass(*trunk);
  for (int64_t p = 0; p < trunk->learners; ++p) pass.backward(p);
}
}

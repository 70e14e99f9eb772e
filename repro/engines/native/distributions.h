// Action distributions of one learner: the log-probability of a sample, and gradients of the loss.
//
// Both classes have the same interface. The loss's slope by log pi(a|s) comes from the objective;
// the KL penalty (beta, per sample) and the entropy bonus are added here.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "matrix.h"
#include "update.h"

// g - max(0, (k'g - delta) / |k|^2) k, in place: equation 12 of Wang et al. (2016).
inline void project(float* g, const float* k, int64_t size, float delta) {
  float product = 0, square = 0;
  for (int64_t i = 0; i < size; ++i) product += k[i] * g[i], square += k[i] * k[i];
  const float excess = std::max(product - delta, 0.0f);
  const float factor = square > 0 ? excess / square : 0;
  for (int64_t i = 0; i < size; ++i) g[i] -= factor * k[i];
}

// Independent normal actions, with one log std for all states.
class Gaussian {
 public:
  explicit Gaussian(const Update& u)
      : u_(u), size_(u.action_size), precision_(size_), g_(2 * size_), k_(2 * size_) {}

  // Learner p with the parameters of now.
  void choose(int64_t p, const float* parameters) {
    p_ = p;
    log_std_ = parameters + u_.log_std;
    constant_ = 0.5f * std::log(2 * float(M_PI)) * size_;
    for (int64_t a = 0; a < size_; ++a) {
      precision_[a] = std::exp(-log_std_[a]);
      constant_ += log_std_[a];
    }
  }

  float log_prob(const float* mean, int64_t sample) {
    const float* action = u_.actions + sample * size_;
    float squares = 0;
    for (int64_t a = 0; a < size_; ++a) {
      const float z = (action[a] - mean[a]) * precision_[a];
      squares += z * z;
    }
    return -0.5f * squares - constant_;
  }

  // Starts the gradient of a minibatch of `size`, with all that is the same for its samples.
  void begin(float* gradient, float beta, int64_t size) {
    d_log_std_ = gradient + u_.log_std;
    const float* old_log_std = u_.old_log_std + p_ * size_;
    for (int64_t a = 0; a < size_; ++a) {
      const float v = std::exp(2 * (old_log_std[a] - log_std_[a]));
      d_log_std_[a] = u_.delta ? 0 : beta * size * (1 - v) - u_.entropy_coef[p_];
    }
  }

  // Adds a sample's gradient: to d_mean, and to that of the log std.
  void add(const float* mean, int64_t sample, float d_log_prob, float beta, float* d_mean) {
    const float* action = u_.actions + sample * size_;
    const float* old_mean = u_.old + sample * size_;
    for (int64_t a = 0; a < size_; ++a) {
      const float z = (action[a] - mean[a]) * precision_[a];
      const float d = (mean[a] - old_mean[a]) * precision_[a];
      d_mean[a] = (d_log_prob * z + beta * d) * precision_[a];
      d_log_std_[a] += d_log_prob * (z * z - 1) - beta * d * d;
    }
  }

  // Likewise along the projection of the slope by (mean, log std), entropy included.
  void add_projected(const float* mean, int64_t sample, float advantage, float scale,
                     float* d_mean) {
    const float* action = u_.actions + sample * size_;
    const float* old_mean = u_.old + sample * size_;
    const float* old_log_std = u_.old_log_std + p_ * size_;
    for (int64_t a = 0; a < size_; ++a) {
      const float z = (action[a] - mean[a]) * precision_[a];
      const float d = (mean[a] - old_mean[a]) * precision_[a];
      g_[a] = advantage * z * precision_[a];
      g_[size_ + a] = advantage * (z * z - 1) + u_.entropy_coef[p_];
      k_[a] = d * precision_[a];
      k_[size_ + a] = 1 - std::exp(2 * (old_log_std[a] - log_std_[a])) - d * d;
    }
    project(g_.data(), k_.data(), 2 * size_, u_.delta[p_]);
    for (int64_t a = 0; a < size_; ++a) {
      d_mean[a] = -scale * g_[a];
      d_log_std_[a] -= scale * g_[size_ + a];
    }
  }

 private:
  const Update& u_;
  int64_t size_, p_ = 0;
  const float* log_std_ = nullptr;
  float* d_log_std_ = nullptr;
  float constant_ = 0;
  Buffer precision_, g_, k_;
};

// Discrete actions. A logit of minus infinity is an action that cannot be taken.
class Categorical {
 public:
  explicit Categorical(const Update& u)
      : u_(u), size_(u.action_size), now_(size_), old_(size_), g_(size_), k_(size_) {}

  void choose(int64_t p, const float*) { p_ = p; }

  float log_prob(const float* logits, int64_t sample) {
    return logits[action(sample)] - log_sum(logits);
  }

  void begin(float*, float, int64_t size) { entropy_coef_ = u_.entropy_coef[p_] / size; }

  void add(const float* logits, int64_t sample, float d_log_prob, float beta, float* d_logits) {
    const float entropy = probabilities(logits, now_.data());
    if (beta != 0) probabilities(u_.old + sample * size_, old_.data());
    const float constant = log_sum(logits);
    for (int64_t a = 0; a < size_; ++a) {
      const float p = now_[a];
      const float bonus = p > 0 ? entropy_coef_ * p * (logits[a] - constant + entropy) : 0;
      d_logits[a] = d_log_prob * ((a == action(sample)) - p) + bonus;
      if (beta != 0) d_logits[a] += beta * (p - old_[a]);
    }
  }

  void add_projected(const float* logits, int64_t sample, float advantage, float scale,
                     float* d_logits) {
    const float entropy = probabilities(logits, now_.data());
    probabilities(u_.old + sample * size_, old_.data());
    const float constant = log_sum(logits);
    for (int64_t a = 0; a < size_; ++a) {
      const float p = now_[a];
      const float slope = p > 0 ? p * (logits[a] - constant + entropy) : 0;
      g_[a] = advantage * ((a == action(sample)) - p) - u_.entropy_coef[p_] * slope;
      k_[a] = p - old_[a];
    }
    project(g_.data(), k_.data(), size_, u_.delta[p_]);
    for (int64_t a = 0; a < size_; ++a) d_logits[a] = -scale * g_[a];
  }

 private:
  int64_t action(int64_t sample) const { return int64_t(u_.actions[sample]); }

  float log_sum(const float* logits) const {
    float largest = logits[0], sum = 0;
    for (int64_t a = 1; a < size_; ++a) largest = std::max(largest, logits[a]);
    for (int64_t a = 0; a < size_; ++a) sum += std::exp(logits[a] - largest);
    return largest + std::log(sum);
  }

  // Into out [A]; returns the entropy.
  float probabilities(const float* logits, float* out) const {
    const float constant = log_sum(logits);
    float entropy = 0;
    for (int64_t a = 0; a < size_; ++a) {
      out[a] = std::exp(logits[a] - constant);
      if (out[a] > 0) entropy -= out[a] * (logits[a] - constant);
    }
    return entropy;
  }

  const Update& u_;
  int64_t size_, p_ = 0;
  float entropy_coef_ = 0;
  Buffer now_, old_, g_, k_;
};

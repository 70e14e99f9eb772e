// One environment step's decisions of P learners: from observations to actions.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "network.h"

// Mirrored by repro/engines/native/acting.py, which checks `acting_size`.
struct Acting {
  const int64_t* actor;
  int64_t activation, parameter_count;
  int64_t own;               // whether each environment has a policy of its own
  const float* parameters;   // [P, parameter_count], or [P, N, parameter_count]
  const float* log_std;      // of learner 0, [A]; null where policies are deterministic
  int64_t log_std_stride;    // between learners
  int64_t learners, horizon, num_envs;
  const double *center, *scale;  // [P, D]; null where observations are not normalized
  double clip;
  double* raw;                         // [P, T, N, D]
  float* inputs;                       // [P, T, N, D]
  int64_t discrete;                    // then A are the actions, of which one is taken
  const float* noise;                  // [P, T, N, A], standard normal; [P, T, N], uniform
  float* statistics;                   // means or logits, [P, T, N, A]
  float* actions;                      // [P, T, N, A], or [P, T, N]
  const float *box_low, *box_high;     // [A]; null where actions are not clipped
};

// The first action whose cumulative probability exceeds the noise, as `Categorical.sample` of
// networks/distributions.py has it. Sets `close` where rounding may decide, NaN among it: the sample
// is off from torch's by less than `kMargin` for each action.
inline int64_t draw(const float* logits, int64_t size, float noise, bool& close) {
  constexpr double kMargin = 1e-6;
  const double largest = *std::max_element(logits, logits + size);
  double sum = 0, cumulative = 0;
  for (int64_t a = 0; a < size; ++a) sum += std::exp(logits[a] - largest);
  int64_t action = 0;
  for (int64_t a = 0; a + 1 < size; ++a) {
    cumulative += std::exp(logits[a] - largest) / sum;
    action += cumulative <= noise;
    close |= !(std::abs(cumulative - noise) > kMargin * size);
  }
  return action;
}

// Made anew for each call from Python, since parameters change between calls.
class Actor {
 public:
  explicit Actor(const Acting& acting)
      : o_(acting),
        tower_(read_tower(acting.actor)),
        pass_(tower_, Activation(acting.activation), acting.num_envs, tower_[0].inputs),
        features_(tower_[0].inputs),
        size_(tower_.back().outputs),
        std_(acting.learners * size_) {
    if (!o_.log_std) return;
    for (int64_t p = 0; p < o_.learners; ++p)
      for (int64_t a = 0; a < size_; ++a)
        std_[p * size_ + a] = std::exp(o_.log_std[p * o_.log_std_stride + a]);
  }

  // Step t: normalizes observations [P, N, D], draws actions, keeps both in the rollout, and writes
  // the actions for the environments to out [P, N, A], or [P, N] where they are discrete. Returns
  // whether rounding may decide which of these it is.
  bool act(int64_t t, const double* observations, float* out) {
    bool close = false;
    for (int64_t p = 0; p < o_.learners; ++p) {
      const int64_t sample = (p * o_.horizon + t) * o_.num_envs;
      keep(p, sample, observations + p * o_.num_envs * features_);
      if (!o_.own) {
        choose(p, p, sample, o_.num_envs, out, close);
        continue;
      }
      for (int64_t n = 0; n < o_.num_envs; ++n)
        choose(p, p * o_.num_envs + n, sample + n, 1, out, close);
    }
    return close;
  }

  int64_t features() const { return features_; }
  int64_t size() const { return size_; }

 private:
  void keep(int64_t p, int64_t sample, const double* observations) {
    float* inputs = o_.inputs + sample * features_;
    const int64_t count = o_.num_envs * features_;
    std::copy(observations, observations + count, o_.raw + sample * features_);
    for (int64_t i = 0; i < count; ++i) {
      double x = observations[i];
      if (o_.center) {
        const int64_t column = p * features_ + i % features_;
        x = (x - o_.center[column]) * o_.scale[column];
        x = x < -o_.clip ? -o_.clip : x > o_.clip ? o_.clip : x;  // lets NaN through
      }
      inputs[i] = x;
    }
  }

  // Actions of `rows` samples by one policy.
  void choose(int64_t p, int64_t policy, int64_t sample, int64_t rows, float*& out, bool& close) {
    const float* parameters = o_.parameters + policy * o_.parameter_count;
    const float* result = pass_.forward(parameters, o_.inputs + sample * features_, rows);
    for (int64_t n = 0; n < rows; ++n, ++sample, result += tower_.back().stride) {
      std::copy(result, result + size_, o_.statistics + sample * size_);
      if (o_.discrete)
        *out++ = o_.actions[sample] = draw(result, size_, o_.noise[sample], close);
      else
        displace(result, std_.data() + p * size_, sample * size_, out);
    }
  }

  // A Gaussian's action, clipped for the environment.
  void displace(const float* mean, const float* std, int64_t place, float*& out) {
    for (int64_t a = 0; a < size_; ++a) {
      float action = o_.actions[place + a] = mean[a] + o_.noise[place + a] * std[a];
      if (o_.box_low) action = std::max(std::min(action, o_.box_high[a]), o_.box_low[a]);
      *out++ = action;
    }
  }

  const Acting& o_;
  const Tower tower_;
  Pass pass_;
  const int64_t features_, size_;
  std::vector<float> std_;  // [P, A]
};

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
  const float* noise;                  // [P, T, N, A], standard normal
  float *means, *actions;              // [P, T, N, A]
  const float *box_low, *box_high;     // [A]; null where actions are not clipped
};

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
  // the actions for the environments to out [P, N, A].
  void act(int64_t t, const double* observations, float* out) {
    for (int64_t p = 0; p < o_.learners; ++p) {
      const int64_t sample = (p * o_.horizon + t) * o_.num_envs;
      keep(p, sample, observations + p * o_.num_envs * features_);
      if (!o_.own) {
        choose(p, p, sample, o_.num_envs, out);
        continue;
      }
      for (int64_t n = 0; n < o_.num_envs; ++n)
        choose(p, p * o_.num_envs + n, sample + n, 1, out);
    }
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
  void choose(int64_t p, int64_t policy, int64_t sample, int64_t rows, float*& out) {
    const float* parameters = o_.parameters + policy * o_.parameter_count;
    const float* mean = pass_.forward(parameters, o_.inputs + sample * features_, rows);
    const float* std = std_.data() + p * size_;
    for (int64_t n = 0; n < rows; ++n)
      for (int64_t a = 0; a < size_; ++a) {
        const int64_t i = (sample + n) * size_ + a;
        o_.means[i] = mean[n * tower_.back().stride + a];
        o_.actions[i] = o_.means[i] + o_.noise[i] * std[a];
        float action = o_.actions[i];
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

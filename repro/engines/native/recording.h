// What one step of P learners leaves: in the rollout, in the running episodes, in the statistics.

#pragma once

#include <algorithm>
#include <cstdint>

#include "moments.h"

// Mirrored by repro/engines/native/recording.py, which checks `recording_size`.
struct Recording {
  int64_t learners, horizon, num_envs, features;
  const Normalizer* normalizer;  // null unless it learns at every step
  const Scaler* scaler;          // null where rewards are not scaled
  // Of the rollout, [P, T, N].
  double* rewards;
  bool *terminated, *truncated;
  // Of the episodes so far, [P, N].
  double* returns;
  int64_t* lengths;
};

// What the environments return, [P N] or [P N, D].
struct Returned {
  const double *observations, *rewards;
  const bool *terminated, *truncated;
};

// Records step t. Returns whether an episode ended in it: then the caller shows the normalizer the
// first observation of the next one.
inline bool record(const Recording& o, int64_t t, const Returned& step) {
  bool ended = false;
  for (int64_t p = 0; p < o.learners; ++p) {
    const int64_t env = p * o.num_envs, sample = (p * o.horizon + t) * o.num_envs;
    for (int64_t n = 0; n < o.num_envs; ++n) {
      o.terminated[sample + n] = step.terminated[env + n];
      o.truncated[sample + n] = step.truncated[env + n];
      o.rewards[sample + n] = step.rewards[env + n];
      o.returns[env + n] += step.rewards[env + n];
      ++o.lengths[env + n];
      ended |= step.terminated[env + n] || step.truncated[env + n];
    }
    if (o.scaler)
      o.scaler->apply(p, o.rewards + sample, o.terminated + sample, o.truncated + sample,
                      o.num_envs);
  }
  if (ended || !o.normalizer) return ended;
  const int64_t size = o.num_envs * o.features;
  for (int64_t p = 0; p < o.learners; ++p)
    o.normalizer->observe(p, step.observations + p * size, o.num_envs, o.features);
  return ended;
}

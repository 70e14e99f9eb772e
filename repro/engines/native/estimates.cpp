// What an iteration computes between its rollout and its update: normalization, values, advantages.
// One call of each, where NumPy and torch need dozens on arrays of a few samples.

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <vector>

#include "moments.h"
#include "network.h"

namespace {

bool usable(const double* x, int64_t count, double largest) {
  bool good = true;
  for (int64_t i = 0; i < count; ++i) good &= std::abs(x[i]) <= largest;  // false for NaN
  return good;
}

}  // namespace

extern "C" {

// `Collector._rollout`. Mirrored by repro/engines/native/estimates.py.
struct Valuation {
  const int64_t* critic;  // `read_tower`
  int64_t activation, parameter_count;
  const float* parameters;  // [P, parameter_count]
  int64_t learners, horizon, num_envs, features;
  const float* inputs;                     // [P, T, N, D]
  const double *raw, *observations;        // [P, T, N, D]; [P, N, D], those after the rollout
  const double *center, *scale;            // [P, D]; null where observations are not normalized
  double clip, largest;                    // after normalization; of an observation that is usable
  const double* rewards;                   // [P, T, N]
  const bool* truncated;                   // [P, T, N]
  const float* finals;                     // [P, T, N, D] of episodes' ends; null without bootstrap
  const double* raw_finals;                // likewise
  float *rounded, *values, *next_values;   // [P, T, N], out; `rounded`: rewards
  bool* finite;                            // [P], out
};

int64_t valuation_size() { return sizeof(Valuation); }

void value_rollout(const Valuation* valuation) {
  const Valuation& o = *valuation;
  constexpr int64_t kRows = 96;  // whose activations stay in the cache
  const int64_t samples = o.horizon * o.num_envs, last = samples - o.num_envs, d = o.features;
  const Tower tower = read_tower(o.critic);
  Pass pass(tower, Activation(o.activation), std::min(kRows, samples), d);
  std::vector<float> current(o.num_envs * d);
  for (int64_t p = 0; p < o.learners; ++p) {
    const int64_t first = p * samples, size = o.num_envs * d;
    const float* parameters = o.parameters + p * o.parameter_count;
    const auto evaluate = [&](const float* x, int64_t count, float* out) {
      for (int64_t start = 0; start < count; start += kRows) {
        const int64_t rows = std::min(kRows, count - start);
        const float* y = pass.forward(parameters, x + start * d, rows);
        for (int64_t r = 0; r < rows; ++r) out[start + r] = y[r * tower.back().stride];
      }
    };
    float *values = o.values + first, *next_values = o.next_values + first;
    evaluate(o.inputs + first * d, samples, values);
    std::copy(values + o.num_envs, values + samples, next_values);
    const double* newest = o.observations + p * size;
    const double* center = o.center ? o.center + p * d : nullptr;
    const double* scale = o.center ? o.scale + p * d : nullptr;
    normalize(newest, o.num_envs, d, center, scale, o.clip, current.data());
    evaluate(current.data(), o.num_envs, next_values + last);
    bool good = usable(o.raw + first * d, samples * d, o.largest) &
                usable(newest, size, o.largest) & usable(o.rewards + first, samples, FLT_MAX);
    for (int64_t i = first; o.finals && i < first + samples; ++i) {
      if (!o.truncated[i]) continue;
      evaluate(o.finals + i * d, 1, o.next_values + i);
      good &= usable(o.raw_finals + i * d, d, o.largest);
    }
    o.finite[p] = good;
    for (int64_t i = first; i < first + samples; ++i) o.rounded[i] = o.rewards[i];
  }
}

// `FlatObservations.renormalize`: the statistics learn from a rollout, which is normalized by them.
// Mirrored by repro/engines/native/estimates.py.
struct Renormalization {
  Normalizer normalizer;
  double clip;
  const double* raw;  // [P, rows, features]
  float* inputs;      // likewise, out
  int64_t learners, rows, features;
};

int64_t renormalization_size() { return sizeof(Renormalization); }

void renormalize(const Renormalization* renormalization) {
  const Renormalization& o = *renormalization;
  const int64_t size = o.rows * o.features;
  for (int64_t p = 0; p < o.learners; ++p) {
    const double* raw = o.raw + p * size;
    o.normalizer.observe(p, raw, o.rows, o.features);
    normalize(raw, o.rows, o.features, o.normalizer.center + p * o.features,
              o.normalizer.scale + p * o.features, o.clip, o.inputs + p * size);
  }
}

// `gae` of repro/learning/advantages.py, in the same order of operations. [P, T, N] each;
// gae_lambda [P].
void gae(int64_t learners, int64_t horizon, int64_t num_envs, const float* rewards,
         const float* values, const float* next_values, const float* discounts, const bool* ends,
         const float* gae_lambda, float* out) {
  const int64_t samples = horizon * num_envs;
  std::vector<double> y(samples), decay(samples);
  for (int64_t p = 0; p < learners; ++p) {
    const int64_t first = p * samples;
    for (int64_t i = 0; i < samples; ++i) {
      const double discount = discounts[first + i];
      y[i] = double(rewards[first + i]) + discount * double(next_values[first + i]) -
             double(values[first + i]);
      decay[i] = ends[first + i] ? discount * 0.0 : discount;
      decay[i] *= double(gae_lambda[p]);
    }
    // y_t = y_t + decay_t y_{t+1}, in log2 T passes: `discounted_sum`.
    for (int64_t stride = num_envs; stride < samples; stride *= 2) {
      const int64_t count = samples - stride;
      for (int64_t i = 0; i < count; ++i) y[i] += decay[i] * y[i + stride];
      for (int64_t i = 0; i < count; ++i) decay[i] *= decay[i + stride];
      std::fill(decay.begin() + count, decay.end(), 0.0);
    }
    std::copy(y.begin(), y.end(), out + first);
  }
}
}

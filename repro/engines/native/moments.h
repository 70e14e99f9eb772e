// Running statistics of observations and rewards, as repro/learning/normalize.py defines them.
//
// Every operation and its order are NumPy's, so that both give the same bits.

#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

// NumPy's sum of a contiguous row: eight partial sums from eight entries on, halves from 129 on.
template <class Real>
Real pairwise_sum(const Real* x, int64_t size) {
  if (size < 8) {
    Real sum = 0;
    for (int64_t i = 0; i < size; ++i) sum += x[i];
    return sum;
  }
  if (size > 128) {
    const int64_t half = size / 2 - size / 2 % 8;
    return pairwise_sum(x, half) + pairwise_sum(x + half, size - half);
  }
  Real part[8];
  for (int64_t k = 0; k < 8; ++k) part[k] = x[k];
  int64_t i = 8;
  for (; i + 8 <= size; i += 8)
    for (int64_t k = 0; k < 8; ++k) part[k] += x[i + k];
  Real sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
  for (; i < size; ++i) sum += x[i];
  return sum;
}

// `RunningMoments`: mean, variance [P, D] and count [P].
struct Moments {
  double *mean, *variance, *count;

  // Adds samples [rows, size] of learner p.
  void update(int64_t p, const double* samples, int64_t rows, int64_t size) const {
    const double total = count[p] + rows, share = rows / total;
    const double cross = count[p] * rows / total;
    std::vector<double> average(size), spread(size);
    if (size == 1) {  // NumPy adds several columns row after row, but a single one as a row
      average[0] = pairwise_sum(samples, rows) / rows;
      std::vector<double> squares(samples, samples + rows);
      for (double& x : squares) x = (x - average[0]) * (x - average[0]);
      spread[0] = pairwise_sum(squares.data(), rows) / rows;
    } else {
      for (const double* row = samples; row < samples + rows * size; row += size)
        for (int64_t d = 0; d < size; ++d) average[d] += row[d];
      for (double& x : average) x /= rows;
      for (const double* row = samples; row < samples + rows * size; row += size)
        for (int64_t d = 0; d < size; ++d)
          spread[d] += (row[d] - average[d]) * (row[d] - average[d]);
      for (double& x : spread) x /= rows;
    }
    for (int64_t d = 0; d < size; ++d) {
      double &m = mean[p * size + d], &v = variance[p * size + d];
      const double delta = average[d] - m;
      const double squares = (v * count[p] + spread[d] * rows) + delta * delta * cross;
      m += delta * share;
      v = squares / total;
    }
    count[p] = total;
  }
};

// Observations [rows, size] of one learner as networks read them; center and scale [size], or null
// where nothing is normalized.
inline void normalize(const double* observations, int64_t rows, int64_t size, const double* center,
                      const double* scale, double clip, float* out) {
  for (int64_t n = 0; n < rows; ++n, observations += size, out += size)
    for (int64_t d = 0; d < size; ++d) {
      double x = observations[d];
      if (center) {
        x = (x - center[d]) * scale[d];
        x = x < -clip ? -clip : x > clip ? clip : x;  // lets NaN through
      }
      out[d] = x;
    }
}

// `ObservationNormalizer` where it learns. Mirrored in collect.py.
struct Normalizer {
  Moments moments;
  double *center, *scale;  // [P, D]
  double floor, epsilon;

  void observe(int64_t p, const double* observations, int64_t rows, int64_t size) const {
    moments.update(p, observations, rows, size);
    for (int64_t i = p * size; i < (p + 1) * size; ++i) {
      double variance = moments.variance[i];
      variance = (variance < floor ? floor : variance) + epsilon;
      center[i] = moments.mean[i];
      scale[i] = variance != 0 ? 1 / std::sqrt(variance) : 0;  // what has never varied becomes 0
    }
  }
};

enum ReturnReset : int64_t { kNever = 0, kTermination = 1, kEpisode = 2 };

// `RewardScaler`. Mirrored in collect.py.
struct Scaler {
  Moments moments;
  double* returns;      // [P, N]
  const double* gamma;  // [P]
  int64_t reset;        // of ReturnReset
  double clip, epsilon;

  // rewards [N] of learner p, in place.
  void apply(int64_t p, double* rewards, const bool* terminated, const bool* truncated,
             int64_t num_envs) const {
    double* total = returns + p * num_envs;
    for (int64_t n = 0; n < num_envs; ++n) {
      if (reset == kTermination && terminated[n]) total[n] = 0;  // before the last reward is added
      total[n] = total[n] * gamma[p] + rewards[n];
    }
    moments.update(p, total, num_envs, 1);
    const double std = std::sqrt(moments.variance[p] + epsilon);
    for (int64_t n = 0; n < num_envs; ++n) {
      if (reset == kEpisode && (terminated[n] || truncated[n])) total[n] = 0;
      const double scaled = std != 0 ? rewards[n] / std : 0;
      rewards[n] = scaled < -clip ? -clip : scaled > clip ? clip : scaled;  // lets NaN through
    }
  }
};

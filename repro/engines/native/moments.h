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
    std::vector<double> column(rows);
    for (int64_t d = 0; d < size; ++d) {
      for (int64_t n = 0; n < rows; ++n) column[n] = samples[n * size + d];
      const double average = sum(column, size) / rows;
      for (double& x : column) x = (x - average) * (x - average);
      const double spread = sum(column, size) / rows;
      double &m = mean[p * size + d], &v = variance[p * size + d];
      const double delta = average - m;
      const double squares = (v * count[p] + spread * rows) + delta * delta * cross;
      m += delta * share;
      v = squares / total;
    }
    count[p] = total;
  }

 private:
  // NumPy adds rows of several columns one after the other, but a single column as a row.
  static double sum(const std::vector<double>& column, int64_t size) {
    if (size == 1) return pairwise_sum(column.data(), column.size());
    double total = 0;
    for (double x : column) total += x;
    return total;
  }
};

// `ObservationNormalizer` where it learns at every step. Mirrored in collect.py.
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

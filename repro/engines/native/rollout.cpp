// The networks' part of a rollout: pi and V of many samples, and one step's actions of a whole pack.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "network.h"

extern "C" {

// One tower at the samples of P learners: x [P, rows, D] -> out [P, rows, outputs].
void mlp_forward(const int64_t* layers, int64_t activation, int64_t learners, int64_t rows,
                 const float* parameters, int64_t parameter_count, const float* x, float* out) {
  constexpr int64_t kRows = 96;  // whose activations stay in the cache
  const Tower tower = read_tower(layers);
  Pass pass(tower, Activation(activation), std::min(rows, kRows), tower[0].inputs);
  const Layer& head = tower.back();
  for (int64_t p = 0; p < learners; ++p, parameters += parameter_count)
    for (int64_t start = 0; start < rows; start += kRows) {
      const int64_t size = std::min(kRows, rows - start);
      const float* y = pass.forward(parameters, x, size);
      for (int64_t r = 0; r < size; ++r, out += head.outputs)
        std::copy(y + r * head.stride, y + r * head.stride + head.outputs, out);
      x += size * tower[0].inputs;
    }
}

// Mirrored by repro/engines/native/acting.py, which checks `acting_size`.
struct Acting {
  const int64_t* actor;
  int64_t activation, parameter_count, log_std;
  const float* parameters;  // [P, parameter_count]
  int64_t learners, horizon, num_envs;
  const double *center, *scale;  // [P, D]; null where observations are not normalized
  double clip;
  double* raw;                         // [P, T, N, D]
  float* inputs;                       // [P, T, N, D]
  const float* noise;                  // [P, T, N, A], standard normal
  float *means, *actions;              // [P, T, N, A]
  const float *box_low, *box_high;     // [A]; null where actions are not clipped
};

int64_t acting_size() { return sizeof(Acting); }

// Step t: normalizes observations [P, N, D], draws actions, keeps both in the rollout, and writes
// the actions for the environments to out [P, N, A].
void act(const Acting* acting, int64_t t, const double* observations, float* out) {
  const Acting& o = *acting;
  const Tower actor = read_tower(o.actor);
  const int64_t features = actor[0].inputs, actions = actor.back().outputs;
  const int64_t stride = actor.back().stride;
  Pass pass(actor, Activation(o.activation), o.num_envs, features);
  std::vector<float> std(actions);
  for (int64_t p = 0; p < o.learners; ++p) {
    const float* parameters = o.parameters + p * o.parameter_count;
    const int64_t sample = (p * o.horizon + t) * o.num_envs;
    float* inputs = o.inputs + sample * features;
    std::copy(observations, observations + o.num_envs * features, o.raw + sample * features);
    for (int64_t i = 0; i < o.num_envs * features; ++i) {
      double x = observations[i];
      if (o.center) {
        const int64_t column = p * features + i % features;
        x = (x - o.center[column]) * o.scale[column];
        x = x < -o.clip ? -o.clip : x > o.clip ? o.clip : x;  // lets NaN through
      }
      inputs[i] = x;
    }
    observations += o.num_envs * features;
    const float* mean = pass.forward(parameters, inputs, o.num_envs);
    for (int64_t a = 0; a < actions; ++a) std[a] = std::exp(parameters[o.log_std + a]);
    for (int64_t n = 0; n < o.num_envs; ++n)
      for (int64_t a = 0; a < actions; ++a) {
        const int64_t i = (sample + n) * actions + a;
        o.means[i] = mean[n * stride + a];
        o.actions[i] = o.means[i] + o.noise[i] * std[a];
        float action = o.actions[i];
        if (o.box_low) action = std::max(std::min(action, o.box_high[a]), o.box_low[a]);
        *out++ = action;
      }
  }
}
}

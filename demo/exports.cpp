// What JavaScript calls: one learner, and one CartPole to look at. Numbers go through memory.

#include <optional>

#include "learner.h"

#define EXPORT(name) extern "C" __attribute__((export_name(#name)))

namespace {

std::optional<Learner> learner;
CartPole shown;
struct {
  double x, theta, steps, right;
} view;
constexpr int kGrid = 21;  // states on a side of the map
float states[kGrid * kGrid * kFeatures], map[kGrid * kGrid];

}  // namespace

EXPORT(create) void create(uint32_t seed) {
  learner.emplace(seed);
  shown.reset(learner->uniform());
}

EXPORT(collect) void collect() { learner->collect(); }
EXPORT(epoch) void epoch() { learner->shuffle_and_update(); }
EXPORT(measure) void measure() { learner->measure(); }
EXPORT(estimate) void estimate() { learner->estimate(); }             // for tests, as is
EXPORT(update) void update(double rate) { learner->update(rate); }    // this one

EXPORT(settings) Settings* settings() { return &learner->settings; }
EXPORT(summary) Summary* summary() { return &learner->summary; }
EXPORT(samples) int samples() { return kSamples; }
EXPORT(grid) int grid() { return kGrid; }

// One of the learner's arrays, by its place in the list that worker.js has.
EXPORT(array) void* array(int place) {
  Buffer* arrays[] = {&learner->parameters, &learner->mean,     &learner->variance,
                      &learner->clock,      &learner->inputs,   &learner->actions,
                      &learner->logits,     &learner->log_prob, &learner->values,
                      &learner->next_values, &learner->advantages, &learner->targets,
                      &learner->ratios};
  if (place == 13) return learner->order.data();
  if (place == 14) return learner->ends.data();
  return arrays[place]->data();
}

// P(right) over pole angle (-0.21 to 0.21 rad, by columns) and angular velocity (2 to -2 rad/s, by
// rows), with the cart at rest in the middle.
EXPORT(chart_policy) float* chart_policy() {
  for (int row = 0; row < kGrid; ++row)
    for (int column = 0; column < kGrid; ++column) {
      float* state = states + (row * kGrid + column) * kFeatures;
      state[2] = -0.21f + 0.42f * column / (kGrid - 1);
      state[3] = 2 - 4.0f * row / (kGrid - 1);
    }
  learner->probabilities(states, kGrid * kGrid, map);
  return map;
}

// The CartPole to look at takes the likelier action, so many steps; it starts anew when it ends.
EXPORT(show) void* show(int steps) {
  float state[kFeatures], right = 0;
  for (int i = 0; i <= steps; ++i) {
    shown.observe(state);
    learner->probabilities(state, 1, &right);
    if (i < steps && shown.step(right > 0.5f) != kGoesOn) shown.reset([n = 0]() mutable {
      return 0.2 + 0.2 * n++;
    });
  }
  view = {shown.x, shown.theta, double(shown.steps), right};
  return &view;
}

EXPORT(push) void push(double change) { shown.theta_dot += change; }

// For tests: one step from a state.
EXPORT(step_from) int step_from(double* state, int action) {
  CartPole env{state[0], state[1], state[2], state[3], 0};
  const int end = env.step(action);
  state[0] = env.x, state[1] = env.x_dot, state[2] = env.theta, state[3] = env.theta_dot;
  return end;
}

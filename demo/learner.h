// PPO on CartPole: collect -> advantages -> epochs, as repro/algorithms/ppo.py has it with
// recipe=sb3. The update is the one of repro/engines/native/ppo.cpp, compiled as it is.

#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "../repro/engines/native/network.h"
#include "../repro/engines/native/update.h"
#include "cartpole.h"

extern "C" void ppo_update(const Update*);

constexpr int64_t kActors = 8, kHorizon = 64, kSamples = kActors * kHorizon;  // N, T, B
constexpr int64_t kMinibatch = 256, kHidden = 32, kFeatures = 4, kActions = 2, kColumns = 16;

// The places of repro/learning/parameters.py: how many layers, then of each its inputs, outputs,
// stride, and where weight and bias are.
constexpr int64_t kTrunk = kFeatures * kHidden + kHidden + kHidden * kHidden + kHidden;
constexpr int64_t kHead = kHidden * kColumns + kColumns;
constexpr int64_t kParameters = 2 * (kTrunk + kHead);
constexpr std::array<int64_t, 16> layers(int64_t trunk, int64_t head, int64_t outputs) {
  const int64_t bias = trunk + kFeatures * kHidden, second = bias + kHidden;
  return {3,       kFeatures, kHidden, kHidden, trunk,    bias, kHidden,  kHidden,
          kHidden, second,    second + kHidden * kHidden, kHidden, outputs,  kColumns,
          head,    head + kHidden * kColumns};
}
constexpr auto kActor = layers(0, 2 * kTrunk, kActions);
constexpr auto kCritic = layers(kTrunk, 2 * kTrunk + kHead, 1);

// What the page sets. Mirrored in worker.js.
struct Settings {
  double epsilon, gamma, lambda, learning_rate;
  double clipping, bootstrap;  // 0 or 1; without the second a time limit counts as a termination
  double total_steps;          // at which the step size, annealed linearly, is 0
};

// What the page shows. Mirrored in worker.js.
struct Summary {
  double steps, episodes, mean_return;  // of the last 100 training episodes
  double kl;                            // mean KL[pi_old, pi], nats
  double outside, flat;  // shares of samples: outside of the range; and without a gradient
};

struct Uniform {
  std::mt19937* random;
  double operator()() const { return (*random)() / 4294967296.0; }  // in [0, 1)
};

class Learner {
 public:
  Settings settings{};
  Summary summary{};
  Buffer parameters{kParameters}, mean{kParameters}, variance{kParameters}, clock{1};
  Buffer inputs{kSamples * kFeatures}, actions{kSamples}, logits{kSamples * kActions};
  Buffer log_prob{kSamples}, values{kSamples}, next_values{kSamples}, advantages{kSamples};
  Buffer targets{kSamples}, ratios{kSamples};
  std::vector<int32_t> ends = std::vector<int32_t>(kSamples), order = ends;  // [T, N]; [B]

  explicit Learner(uint32_t seed)
      : random_(seed),
        actor_tower_(read_tower(kActor.data())),
        critic_tower_(read_tower(kCritic.data())),
        actor_(actor_tower_, kTanh, kSamples, kFeatures),
        critic_(critic_tower_, kTanh, kSamples, kFeatures) {
    const double sqrt2 = std::sqrt(2.0);
    initialize(actor_tower_, {sqrt2, sqrt2, 0.01});
    initialize(critic_tower_, {sqrt2, sqrt2, 1});
    for (CartPole& env : envs_) env.reset(uniform());
  }

  // T steps of N actors under pi_old, and their advantages.
  void collect() {
    float now[kActors * kFeatures];
    for (int64_t t = 0; t < kHorizon; ++t) {
      const int64_t first = t * kActors;
      for (int64_t n = 0; n < kActors; ++n) envs_[n].observe(&inputs[(first + n) * kFeatures]);
      const float* x = &inputs[first * kFeatures];
      keep_policy(x, first);
      evaluate(x, &values[first]);
      for (int64_t n = 0; n < kActors; ++n) ends[first + n] = envs_[n].step(actions[first + n]);
      for (int64_t n = 0; n < kActors; ++n) envs_[n].observe(now + n * kFeatures);
      evaluate(now, &next_values[first]);  // of the true next observation, before a reset
      for (int64_t n = 0; n < kActors; ++n)
        if (ends[first + n]) finish(envs_[n]);
    }
    summary.steps += kSamples;
    estimate();
  }

  // GAE, equations 11 and 12: delta_t = r_t + gamma V(s_t+1) - V(s_t), with r = 1 here.
  void estimate() {
    const float gamma = settings.gamma, lambda = settings.lambda;
    for (int64_t n = 0; n < kActors; ++n) {
      float next = 0;
      for (int64_t b = kSamples - kActors + n; b >= 0; b -= kActors) {
        const bool ended = ends[b] != kGoesOn;
        const bool last = ends[b] == kTerminated || (ended && settings.bootstrap == 0);
        const float delta = 1 + (last ? 0 : gamma * next_values[b]) - values[b];
        next = delta + (ended ? 0 : gamma * lambda * next);
        advantages[b] = next;
        targets[b] = next + values[b];
      }
    }
  }

  // One of the K epochs of minibatches, in an order of its own.
  void shuffle_and_update() {
    std::iota(order.begin(), order.end(), 0);
    const Uniform draw = uniform();
    for (int64_t b = kSamples - 1; b > 0; --b) std::swap(order[b], order[int64_t(draw() * (b + 1))]);
    const double left = 1 - (summary.steps - kSamples) / settings.total_steps;
    update(settings.learning_rate * std::max(left, 0.0));
  }

  // One epoch in the order that `order` has.
  void update(double learning_rate) {
    const float infinity = std::numeric_limits<float>::infinity();
    const float low = settings.clipping ? 1 - settings.epsilon : 0;
    const float high = settings.clipping ? 1 + settings.epsilon : infinity;
    const float none = 0, value_coef = 0.5f;
    const uint8_t active = 1;
    int64_t minibatches = 0;
    float gradient_norm = 0;
    Update u{};
    u.actor = kActor.data(), u.critic = kCritic.data();
    u.parameters = parameters.data(), u.parameter_count = kParameters;
    u.mean = mean.data(), u.variance = variance.data(), u.clock = clock.data();
    u.inputs = inputs.data(), u.actions = actions.data(), u.old = logits.data();
    u.log_prob = log_prob.data(), u.advantages = advantages.data();
    u.targets = targets.data(), u.values = values.data();
    u.order = order.data(), u.active = &active, u.low = &low, u.high = &high;
    u.beta = &none, u.entropy_coef = &none, u.value_coef = &value_coef;
    u.learning_rate = &learning_rate;
    u.minibatches = &minibatches, u.gradient_norm = &gradient_norm;
    u.activation = kTanh, u.action_size = kActions, u.discrete = 1;
    u.learners = 1, u.samples = kSamples, u.minibatch_size = kMinibatch, u.epochs = 1;
    u.standardize = 1, u.unbiased = 1, u.advantage_epsilon = 1e-8;
    u.value_clip = -1, u.early_stop_kl = -1, u.max_grad_norm = 0.5;
    u.epsilon = 1e-5, u.beta1 = 0.9, u.beta2 = 0.999;
    ppo_update(&u);
  }

  // Ratios of the samples after an epoch, and what the page says of them. A sample is flat where
  // moving further out would raise r A; A is standardized over a minibatch, here over the batch.
  void measure() {
    double average = 0, kl = 0;
    for (float advantage : advantages) average += advantage / kSamples;
    const float* out = actor_.forward(parameters.data(), inputs.data(), kSamples);
    int64_t outside = 0, flat = 0;
    for (int64_t b = 0; b < kSamples; ++b) {
      const float *now = out + b * kColumns, *old = &logits[b * kActions];
      for (int a = 0; a < kActions; ++a)
        kl += std::exp(log_probability(old, a)) * (log_probability(old, a) - log_probability(now, a));
      ratios[b] = std::exp(log_probability(now, actions[b]) - log_prob[b]);
      const bool above = ratios[b] > 1 + settings.epsilon, below = ratios[b] < 1 - settings.epsilon;
      outside += above || below;
      if (settings.clipping) flat += advantages[b] > average ? above : below;
    }
    summary.kl = kl / kSamples;
    summary.outside = double(outside) / kSamples, summary.flat = double(flat) / kSamples;
  }

  // P(right) in the states [rows, 4], rows up to B.
  void probabilities(const float* states, int64_t rows, float* out) {
    const float* head = actor_.forward(parameters.data(), states, rows);
    for (int64_t i = 0; i < rows; ++i) out[i] = std::exp(log_probability(head + i * kColumns, 1));
  }

  Uniform uniform() { return {&random_}; }

 private:
  static float log_probability(const float* logits, int action) {
    const float top = std::max(logits[0], logits[1]);
    return logits[action] - top - std::log(std::exp(logits[0] - top) + std::exp(logits[1] - top));
  }

  void keep_policy(const float* x, int64_t first) {
    const float* out = actor_.forward(parameters.data(), x, kActors);
    const Uniform draw = uniform();
    for (int64_t n = 0; n < kActors; ++n) {
      const float* own = out + n * kColumns;
      const int action = draw() < std::exp(log_probability(own, 1));
      std::copy(own, own + kActions, &logits[(first + n) * kActions]);
      actions[first + n] = action;
      log_prob[first + n] = log_probability(own, action);
    }
  }

  void evaluate(const float* x, float* out) {
    const float* value = critic_.forward(parameters.data(), x, kActors);
    for (int64_t n = 0; n < kActors; ++n) out[n] = value[n * kColumns];
  }

  void finish(CartPole& env) {
    returns_.push_back(env.steps);
    if (returns_.size() > 100) returns_.pop_front();
    ++summary.episodes;
    summary.mean_return = std::accumulate(returns_.begin(), returns_.end(), 0.0) / returns_.size();
    env.reset(uniform());
  }

  // Orthonormal columns, or rows where these are fewer, times a gain (Saxe et al. 2013), by
  // Gram-Schmidt.
  void initialize(const Tower& tower, const std::array<double, 3>& gains) {
    std::normal_distribution<double> normal;
    for (size_t i = 0; i < tower.size(); ++i) {
      const Layer& layer = tower[i];
      const int64_t length = std::max(layer.inputs, layer.outputs);
      std::vector<std::vector<double>> basis;
      while (int64_t(basis.size()) < std::min(layer.inputs, layer.outputs)) {
        std::vector<double> w(length);
        for (double& entry : w) entry = normal(random_);
        for (const auto& u : basis) {
          const double along = std::inner_product(u.begin(), u.end(), w.begin(), 0.0);
          for (int64_t k = 0; k < length; ++k) w[k] -= along * u[k];
        }
        const double norm = std::sqrt(std::inner_product(w.begin(), w.end(), w.begin(), 0.0));
        for (double& entry : w) entry /= norm;
        basis.push_back(w);
      }
      const bool tall = layer.inputs >= layer.outputs;
      for (int64_t row = 0; row < layer.inputs; ++row)
        for (int64_t column = 0; column < layer.outputs; ++column)
          parameters[layer.weight + row * layer.stride + column] =
              gains[i] * (tall ? basis[column][row] : basis[row][column]);
    }
  }

  std::mt19937 random_;
  Tower actor_tower_, critic_tower_;
  Pass actor_, critic_;
  std::array<CartPole, kActors> envs_;
  std::deque<double> returns_;
};

// The update of repro/algorithms/ppo.py in one call, on a CPU; the symbols are ppo.py's. With other
// settings also the steps of A2C and VPG, and the fit of a critic by itself.
//
// Learners do not interact during an update, so each goes through all its minibatches before the
// next one starts: parameters, moments, gradient and samples of one learner fit a core's cache, where
// a pack's do not.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "distributions.h"
#include "network.h"
#include "update.h"

namespace {

// Layers that actor and critic share come once: the critic is then a head on the actor's features.
struct Towers {
  Tower actor, critic;
  bool shared = false;

  explicit Towers(const Update& u) {
    if (u.actor) actor = read_tower(u.actor);
    if (u.critic) critic = read_tower(u.critic);
    shared = actor.size() > 1 && critic.size() > 1 && actor[0].weight == critic[0].weight;
    if (shared) critic.erase(critic.begin(), critic.end() - 1);
  }
  int64_t features() const { return (actor.empty() ? critic : actor)[0].inputs; }
  int64_t critic_stride() const {
    return shared ? actor[actor.size() - 2].stride : features();
  }
};

template <class Distribution>
class Learner {
 public:
  Learner(const Update& u, const Towers& towers)
      : u_(u),
        features_(towers.features()),
        acts_(!towers.actor.empty()),
        values_(!towers.critic.empty()),
        shared_(towers.shared),
        actor_(towers.actor, Activation(u.activation), u.minibatch_size, features_),
        critic_(towers.critic, Activation(u.activation), u.minibatch_size, towers.critic_stride()),
        policy_(u),
        gradient_(u.parameter_count),
        x_(u.minibatch_size * features_),
        advantages_(u.minibatch_size),
        log_ratio_(u.minibatch_size) {
    if (acts_) actor_.prepare_gradient(u.minibatch_size);
    if (values_) critic_.prepare_gradient(u.minibatch_size);
  }

  // K epochs of gradient steps for learner p.
  void update(int64_t p) {
    choose(p);
    u_.minibatches[p] = 0;
    u_.gradient_norm[p] = NAN;
    const int64_t kept = u_.drop_partial ? u_.samples - u_.samples % u_.minibatch_size : u_.samples;
    for (int64_t epoch = 0; epoch < u_.epochs; ++epoch) {
      const int32_t* order = u_.order + (epoch * u_.learners + p) * u_.samples;
      for (int64_t start = 0; start < kept; start += u_.minibatch_size)
        if (!step(order + start, std::min(u_.minibatch_size, kept - start))) return;
    }
  }

 private:
  void choose(int64_t p) {
    p_ = p;
    parameters_ = u_.parameters + p * u_.parameter_count;
    first_ = p * u_.samples;
    std::fill(gradient_.begin(), gradient_.end(), 0.0f);
  }

  // One minibatch; false where the learner stops before it.
  bool step(const int32_t* rows, int64_t size) {
    gather(rows, size);
    if (acts_) {
      const float* out = actor_.forward(parameters_, x_.data(), size);
      compare(rows, size, out);
      if (u_.early_stop_kl >= 0 && moved_too_far(size)) return false;
      policy_gradient(rows, size, out);
      if (u_.fixed_std)  // a schedule has the standard deviations
        std::fill_n(gradient_.data() + u_.log_std, u_.action_size, 0.0f);
    }
    const float* other = nullptr;
    if (values_) {
      const float* seen = shared_ ? actor_.features() : x_.data();
      value_gradient(rows, size, critic_.forward(parameters_, seen, size));
      if (shared_) {
        critic_.backward(gradient_.data(), size);
        other = critic_.input_gradient(size);
      }
    }
    if (acts_) actor_.backward(gradient_.data(), size, other);
    if (values_ && !shared_) critic_.backward(gradient_.data(), size);
    clip_gradient();
    if (u_.rmsprop)
      rmsprop();
    else
      adam();
    ++u_.minibatches[p_];
    return true;
  }

  void gather(const int32_t* rows, int64_t size) {
    for (int64_t m = 0; m < size; ++m) {
      const float* x = u_.inputs + (first_ + rows[m]) * features_;
      std::copy(x, x + features_, x_.data() + m * features_);
      if (acts_) advantages_[m] = u_.advantages[first_ + rows[m]];
    }
    if (acts_ && u_.standardize && size > 1) standardize(size);
  }

  void standardize(int64_t size) {
    double mean = 0, squares = 0;
    for (int64_t m = 0; m < size; ++m) mean += advantages_[m];
    mean /= size;
    if (u_.center_only) {
      for (int64_t m = 0; m < size; ++m) advantages_[m] -= mean;
      return;
    }
    for (int64_t m = 0; m < size; ++m) squares += (advantages_[m] - mean) * (advantages_[m] - mean);
    const double scale = std::sqrt(squares / (size - u_.unbiased)) + u_.advantage_epsilon;
    // Equal advantages become 0. In double, their mean is exact.
    for (int64_t m = 0; m < size; ++m)
      advantages_[m] = scale == 0 ? 0 : (advantages_[m] - mean) / scale;
  }

  // log r of every sample: log pi(a|s) under the parameters of now, less that under the old ones.
  void compare(const int32_t* rows, int64_t size, const float* out) {
    policy_.choose(p_, parameters_);
    if (!u_.log_prob) return;
    for (int64_t m = 0; m < size; ++m) {
      const int64_t sample = first_ + rows[m];
      const float log_prob = policy_.log_prob(out + m * actor_.head().stride, sample);
      log_ratio_[m] = log_prob - u_.log_prob[sample];
    }
  }

  bool moved_too_far(int64_t size) {
    double kl = 0;  // Schulman's k3 estimator
    for (int64_t m = 0; m < size; ++m) kl += std::exp(log_ratio_[m]) - 1 - log_ratio_[m];
    return kl / size > u_.early_stop_kl;
  }

  // d loss / d outputs of the actor: of the objective, its penalty and the entropy.
  void policy_gradient(const int32_t* rows, int64_t size, const float* out) {
    const float beta = u_.beta[p_] / size;
    policy_.begin(gradient_.data(), beta, size);
    const int64_t stride = actor_.head().stride;
    std::fill(actor_.upstream(), actor_.upstream() + size * stride, 0.0f);
    for (int64_t m = 0; m < size; ++m) {
      const int64_t sample = first_ + rows[m];
      float* upstream = actor_.upstream() + m * stride;
      if (u_.delta)
        policy_.add_projected(out + m * stride, sample, advantages_[m], 1.0f / size, upstream);
      else
        policy_.add(out + m * stride, sample, slope(m, size), beta, upstream);
    }
  }

  // d loss / d log pi(a|s) of a minibatch's sample m, without penalty and bonus.
  float slope(int64_t m, int64_t size) {
    const float advantage = advantages_[m];
    if (u_.policy_gradient) return -advantage / size;
    const float ratio = std::exp(log_ratio_[m]);
    const float clipped = std::max(std::min(ratio, u_.high[p_]), u_.low[p_]);
    // min(r A, clip(r) A) has the slope A where its first part is the smaller one, else none.
    return ratio * advantage <= clipped * advantage ? -ratio * advantage / size : 0.0f;
  }

  // d loss / d V of c1 L_VF.
  void value_gradient(const int32_t* rows, int64_t size, const float* value) {
    const int64_t stride = critic_.head().stride;
    const float scale = 2 * u_.value_coef[p_] / size;
    std::fill(critic_.upstream(), critic_.upstream() + size * stride, 0.0f);
    for (int64_t m = 0; m < size; ++m) {
      const int64_t sample = first_ + rows[m];
      critic_.upstream()[m * stride] =
          scale * residual(value[m * stride], u_.values[sample], u_.targets[sample]);
    }
  }

  // Half the slope of L_VF at V: V - V_targ, or that of the clipped value's loss.
  float residual(float value, float old_value, float target) const {
    if (u_.value_clip < 0) return value - target;
    const float moved = value - old_value;
    const float limit = u_.value_clip, plain = value - target;
    const float clipped = old_value + std::max(std::min(moved, limit), -limit) - target;
    const bool within = std::abs(moved) <= limit;
    if (u_.value_clip_pessimistic && plain * plain >= clipped * clipped) return plain;
    return within ? clipped : 0.0f;
  }

  void clip_gradient() {
    if (u_.max_grad_norm < 0 && u_.minibatches[p_] > 0) return;
    const float norm = std::sqrt(sum_of_squares(gradient_.data(), u_.parameter_count));
    if (u_.minibatches[p_] == 0) u_.gradient_norm[p_] = norm;
    if (u_.max_grad_norm < 0) return;
    const float scale = std::min(float(u_.max_grad_norm) / (norm + 1e-6f), 1.0f);
    for (float& g : gradient_) g *= scale;
  }

  // Kingma & Ba (2014), as torch.optim has it.
  void adam() {
    const double clock = u_.clock[p_] += 1;
    const float step = u_.learning_rate[p_] / (1 - std::pow(u_.beta1, clock));
    const float correction = 1 / std::sqrt(1 - std::pow(u_.beta2, clock));
    const float keep1 = u_.beta1, take1 = 1 - u_.beta1, keep2 = u_.beta2, take2 = 1 - u_.beta2;
    const float epsilon = u_.epsilon;
    const float* __restrict g = gradient_.data();
    float* __restrict parameters = parameters_;
    float* __restrict mean = u_.mean + p_ * u_.parameter_count;
    float* __restrict variance = u_.variance + p_ * u_.parameter_count;
    for (int64_t i = 0; i < u_.parameter_count; ++i) {
      mean[i] = keep1 * mean[i] + take1 * g[i];
      variance[i] = keep2 * variance[i] + take2 * g[i] * g[i];
      parameters[i] -= step * mean[i] / (std::sqrt(variance[i]) * correction + epsilon);
    }
  }

  // TensorFlow's, as repro/learning/optimizers.py has it.
  void rmsprop() {
    const float rate = u_.learning_rate[p_], keep = u_.beta2, take = 1 - u_.beta2;
    const float epsilon = u_.epsilon;
    const float* __restrict g = gradient_.data();
    float* __restrict parameters = parameters_;
    float* __restrict square = u_.variance + p_ * u_.parameter_count;
    for (int64_t i = 0; i < u_.parameter_count; ++i) {
      square[i] = keep * square[i] + take * (g[i] * g[i]);
      parameters[i] -= rate * g[i] / std::sqrt(square[i] + epsilon);
    }
  }

  const Update& u_;
  int64_t p_ = 0, features_, first_ = 0;
  bool acts_, values_, shared_;
  float* parameters_ = nullptr;
  Pass actor_, critic_;
  Distribution policy_;
  Buffer gradient_, x_, advantages_, log_ratio_;
};

template <class Distribution>
void update_all(const Update& u) {
  const Towers towers(u);
  Learner<Distribution> learner(u, towers);
  for (int64_t p = 0; p < u.learners; ++p)
    if (u.active[p]) learner.update(p);
}

}  // namespace

extern "C" {

int64_t update_size() { return sizeof(Update); }

void ppo_update(const Update* update) {
  if (update->discrete)
    update_all<Categorical>(*update);
  else
    update_all<Gaussian>(*update);
}
}

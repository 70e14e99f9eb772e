// The update of repro/algorithms/ppo.py in one call, on a CPU; the symbols are ppo.py's.
//
// Learners do not interact during an update, so each goes through all its minibatches before the
// next one starts: parameters, moments, gradient and samples of one learner fit a core's cache, where
// a pack's do not. Arrays are float32 and row-major: [P, B, ...] with P learners, B samples each, M of
// them a minibatch.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "network.h"

extern "C" {

// Mirrored by repro/engines/native/update.py, which checks `update_size`.
struct Update {
  const int64_t *actor, *critic;                 // `read_tower`
  float *parameters, *mean, *variance, *clock;   // [P, parameter_count] thrice, [P]: Adam's state
  const float *inputs, *actions;                 // [P, B, D], [P, B, A]
  const float *old, *old_log_std;                // pi_old: means [P, B, A], [P, A]
  const float *log_prob, *advantages, *targets, *values;       // [P, B], under pi_old
  const int32_t* order;                                        // [K, P, B]
  const uint8_t* active;                                       // [P]
  const float *low, *high, *beta, *value_coef, *entropy_coef;  // [P]: `bounded`, and equation 9
  const double* learning_rate;                                 // [P]
  int64_t* minibatches;                                        // [P], out
  float* gradient_norm;                                        // [P], out: of the first minibatch

  int64_t activation, parameter_count, log_std, action_size;
  int64_t learners, samples, minibatch_size, epochs, drop_partial;
  int64_t standardize, unbiased, value_clip_pessimistic, fixed_std;

  double advantage_epsilon, value_clip, max_grad_norm, early_stop_kl;  // no limit where negative
  double adam_epsilon, beta1, beta2;
};
}

namespace {

class Learner {
 public:
  Learner(const Update& u, const Tower& actor, const Tower& critic)
      : u_(u),
        features_(actor[0].inputs),
        actor_(actor, Activation(u.activation), u.minibatch_size),
        critic_(critic, Activation(u.activation), u.minibatch_size),
        gradient_(u.parameter_count),
        x_(u.minibatch_size * features_),
        advantages_(u.minibatch_size),
        log_ratio_(u.minibatch_size),
        precision_(u.action_size) {
    actor_.prepare_gradient(u.minibatch_size);
    critic_.prepare_gradient(u.minibatch_size);
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
    const float* mean = actor_.forward(parameters_, x_.data(), size);
    const float* value = critic_.forward(parameters_, x_.data(), size);
    compare(rows, size, mean);
    if (u_.early_stop_kl >= 0 && moved_too_far(size)) return false;
    policy_gradient(rows, size, mean);
    if (u_.fixed_std)  // a schedule has the standard deviations
      std::fill_n(gradient_.data() + u_.log_std, u_.action_size, 0.0f);
    value_gradient(rows, size, value);
    actor_.backward(gradient_.data(), size);
    critic_.backward(gradient_.data(), size);
    clip_gradient();
    adam();
    ++u_.minibatches[p_];
    return true;
  }

  void gather(const int32_t* rows, int64_t size) {
    for (int64_t m = 0; m < size; ++m) {
      const float* x = u_.inputs + (first_ + rows[m]) * features_;
      std::copy(x, x + features_, x_.data() + m * features_);
      advantages_[m] = u_.advantages[first_ + rows[m]];
    }
    if (u_.standardize && size > 1) standardize(size);
  }

  void standardize(int64_t size) {
    double mean = 0, squares = 0;
    for (int64_t m = 0; m < size; ++m) mean += advantages_[m];
    mean /= size;
    for (int64_t m = 0; m < size; ++m) squares += (advantages_[m] - mean) * (advantages_[m] - mean);
    const double scale = std::sqrt(squares / (size - u_.unbiased)) + u_.advantage_epsilon;
    // Equal advantages become 0. In double, their mean is exact.
    for (int64_t m = 0; m < size; ++m)
      advantages_[m] = scale == 0 ? 0 : (advantages_[m] - mean) / scale;
  }

  // log r of every sample: log pi(a|s) under the parameters of now, less that under the old ones.
  void compare(const int32_t* rows, int64_t size, const float* mean) {
    const float* log_std = parameters_ + u_.log_std;
    float constant = 0.5f * std::log(2 * float(M_PI)) * u_.action_size;
    for (int64_t a = 0; a < u_.action_size; ++a) {
      precision_[a] = std::exp(-log_std[a]);
      constant += log_std[a];
    }
    for (int64_t m = 0; m < size; ++m) {
      const int64_t sample = first_ + rows[m];
      const float* mu = mean + m * actor_.head().stride;
      const float* action = u_.actions + sample * u_.action_size;
      float squares = 0;
      for (int64_t a = 0; a < u_.action_size; ++a) {
        const float z = (action[a] - mu[a]) * precision_[a];
        squares += z * z;
      }
      log_ratio_[m] = -0.5f * squares - constant - u_.log_prob[sample];
    }
  }

  bool moved_too_far(int64_t size) {
    double kl = 0;  // Schulman's k3 estimator
    for (int64_t m = 0; m < size; ++m) kl += std::exp(log_ratio_[m]) - 1 - log_ratio_[m];
    return kl / size > u_.early_stop_kl;
  }

  // d loss / d (mean, log std) of the surrogate, its penalty and the entropy.
  void policy_gradient(const int32_t* rows, int64_t size, const float* mean) {
    const float low = u_.low[p_], high = u_.high[p_], beta = u_.beta[p_] / size;
    const float* log_std = parameters_ + u_.log_std;
    const float* old_log_std = u_.old_log_std + p_ * u_.action_size;
    float* d_log_std = gradient_.data() + u_.log_std;
    for (int64_t a = 0; a < u_.action_size; ++a) {
      const float v = std::exp(2 * (old_log_std[a] - log_std[a]));
      d_log_std[a] = beta * size * (1 - v) - u_.entropy_coef[p_];
    }
    const int64_t stride = actor_.head().stride;
    std::fill(actor_.upstream(), actor_.upstream() + size * stride, 0.0f);
    for (int64_t m = 0; m < size; ++m) {
      const int64_t sample = first_ + rows[m];
      const float ratio = std::exp(log_ratio_[m]), advantage = advantages_[m];
      const float clipped = std::max(std::min(ratio, high), low);
      // min(r A, clip(r) A) has the slope A where its first part is the smaller one, else none.
      const bool counts = ratio * advantage <= clipped * advantage;
      const float d_log_prob = counts ? -ratio * advantage / size : 0.0f;
      const float* mu = mean + m * stride;
      const float* action = u_.actions + sample * u_.action_size;
      const float* old_mean = u_.old + sample * u_.action_size;
      float* d_mean = actor_.upstream() + m * stride;
      for (int64_t a = 0; a < u_.action_size; ++a) {
        const float z = (action[a] - mu[a]) * precision_[a];
        const float d = (mu[a] - old_mean[a]) * precision_[a];
        d_mean[a] = (d_log_prob * z + beta * d) * precision_[a];
        d_log_std[a] += d_log_prob * (z * z - 1) - beta * d * d;
      }
    }
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
    const float epsilon = u_.adam_epsilon;
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

  const Update& u_;
  int64_t p_ = 0, features_, first_ = 0;
  float* parameters_ = nullptr;
  Pass actor_, critic_;
  Buffer gradient_, x_, advantages_, log_ratio_, precision_;
};

}  // namespace

extern "C" {

int64_t update_size() { return sizeof(Update); }

void ppo_update(const Update* update) {
  const Tower actor = read_tower(update->actor), critic = read_tower(update->critic);
  Learner learner(*update, actor, critic);
  for (int64_t p = 0; p < update->learners; ++p)
    if (update->active[p]) learner.update(p);
}
}

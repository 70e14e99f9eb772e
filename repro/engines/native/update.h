// The arguments of an update; the symbols are those of repro/algorithms/ppo.py.
//
// Arrays are float32 and row-major: [P, B, ...] with P learners, B samples each, M of them a
// minibatch. Mirrored by repro/engines/native/update.py, which checks `update_size`.

#pragma once

#include <cstdint>

extern "C" {

struct Update {
  const int64_t *actor, *critic;                 // `read_tower`; null: that network takes no step
  float *parameters, *mean, *variance, *clock;   // [P, parameter_count] thrice, [P]: Adam's state
  const float *inputs, *actions;                 // [P, B, D]; [P, B, A], or indices [P, B]
  const float *old, *old_log_std;                // pi_old: means or logits [P, B, A], [P, A]
  const float *log_prob, *advantages, *targets, *values;       // [P, B]; `log_prob` for a ratio
  const int32_t* order;                                        // [K, P, B]
  const uint8_t* active;                                       // [P]
  const float *low, *high, *beta, *value_coef, *entropy_coef;  // [P]: `bounded`, and equation 9
  const float* delta;                            // [P]: of A2C's trust region around pi_old; or null
  const double* learning_rate;                                 // [P]
  int64_t* minibatches;                                        // [P], out
  float* gradient_norm;                                        // [P], out: of the first minibatch

  int64_t activation, parameter_count, log_std, action_size, discrete;
  int64_t learners, samples, minibatch_size, epochs, drop_partial;
  int64_t standardize, center_only, unbiased, value_clip_pessimistic, fixed_std;
  int64_t policy_gradient;  // L_PG in place of a surrogate
  int64_t rmsprop;          // in place of Adam; `variance` is its mean square, `beta2` its decay

  double advantage_epsilon, value_clip, max_grad_norm, early_stop_kl;  // no limit where negative
  double epsilon, beta1, beta2;
};
}

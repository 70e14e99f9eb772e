// Derivatives of a policy network at many samples, for repro/algorithms/trpo.py.
//
// phi(s) are the network's outputs, means or logits, and J their Jacobian by its parameters. Samples
// come in blocks whose activations stay in the cache; a learner's bits depend on nothing else.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "network.h"

extern "C" {

// Mirrored by repro/engines/native/derivatives.py, which checks `policy_size`.
struct Policy {
  const int64_t* actor;     // `read_tower`
  const float* parameters;  // [P, parameter_count]
  const float* log_std;     // [P, A] in rows of `log_std_stride`; unused for discrete actions
  const float* inputs;      // [P, B, D]
  int64_t activation, parameter_count, log_std_stride, discrete, learners, samples;
};
}

namespace {

constexpr int64_t kRows = 96;

class Derivatives {
 public:
  explicit Derivatives(const Policy& policy)
      : o_(policy),
        actor_(read_tower(policy.actor)),
        pass_(actor_, Activation(policy.activation), kRows, actor_[0].inputs),
        part_(policy.parameter_count),
        metric_(actor_.back().outputs) {
    pass_.prepare_gradient(kRows);
    pass_.prepare_tangent(kRows);
  }

  // J'u into out, for learner p; u [B, A].
  void pull(int64_t p, const float* u, float* out) {
    sum(p, out, [&](int64_t start, int64_t size, const float*) {
      for (int64_t r = 0; r < size; ++r)
        for (int64_t a = 0; a < head().outputs; ++a)
          pass_.upstream()[r * head().stride + a] = u[(start + r) * head().outputs + a];
    });
  }

  // E[J' M J] v, with M the Fisher matrix of the distribution in phi.
  void fisher(int64_t p, const float* v, float* out) {
    if (!o_.discrete)
      for (int64_t a = 0; a < head().outputs; ++a)
        metric_[a] = std::exp(-2 * o_.log_std[p * o_.log_std_stride + a]) / o_.samples;
    sum(p, out, [&](int64_t, int64_t size, const float* phi) {
      const float* moved = pass_.tangent(v, size);
      for (int64_t r = 0; r < size; ++r) {
        const int64_t row = r * head().stride;
        if (o_.discrete)
          categorical(phi + row, moved + row, pass_.upstream() + row);
        else
          for (int64_t a = 0; a < head().outputs; ++a)
            pass_.upstream()[row + a] = metric_[a] * moved[row + a];
      }
    });
  }

 private:
  const Layer& head() const { return actor_.back(); }

  // Adds up J' times what `fill` writes to `upstream`, block by block.
  template <class Fill>
  void sum(int64_t p, float* out, Fill fill) {
    const float* parameters = o_.parameters + p * o_.parameter_count;
    const float* x = o_.inputs + p * o_.samples * actor_[0].inputs;
    std::fill(part_.begin(), part_.end(), 0.0f);
    std::fill(out, out + o_.parameter_count, 0.0f);
    for (int64_t start = 0; start < o_.samples; start += kRows) {
      const int64_t size = std::min(kRows, o_.samples - start);
      const float* phi = pass_.forward(parameters, x + start * actor_[0].inputs, size);
      std::fill(pass_.upstream(), pass_.upstream() + size * head().stride, 0.0f);
      fill(start, size, phi);
      pass_.backward(part_.data(), size);
      for (int64_t i = 0; i < o_.parameter_count; ++i) out[i] += part_[i];
    }
  }

  // (diag(p) - p p') moved / B
  void categorical(const float* logits, const float* moved, float* out) {
    const int64_t size = head().outputs;
    const float largest = *std::max_element(logits, logits + size);
    float total = 0, mean = 0;
    for (int64_t a = 0; a < size; ++a) total += metric_[a] = std::exp(logits[a] - largest);
    for (int64_t a = 0; a < size; ++a) mean += (metric_[a] /= total) * moved[a];
    for (int64_t a = 0; a < size; ++a) out[a] = metric_[a] * (moved[a] - mean) / o_.samples;
  }

  const Policy& o_;
  Tower actor_;
  Pass pass_;
  Buffer part_, metric_;
};

}  // namespace

extern "C" {

int64_t policy_size() { return sizeof(Policy); }

// The gradient of a function of phi, sum over samples: u [P, B, A] -> out [P, parameter_count].
void pull_back(const Policy* policy, const float* u, float* out) {
  Derivatives derivatives(*policy);
  const int64_t block = policy->samples * read_tower(policy->actor).back().outputs;
  for (int64_t p = 0; p < policy->learners; ++p)
    derivatives.pull(p, u + p * block, out + p * policy->parameter_count);
}

// v, out: [P, parameter_count]. Entries outside of the network become 0.
void fisher_product(const Policy* policy, const float* v, float* out) {
  Derivatives derivatives(*policy);
  for (int64_t p = 0; p < policy->learners; ++p)
    derivatives.fisher(p, v + p * policy->parameter_count, out + p * policy->parameter_count);
}
}

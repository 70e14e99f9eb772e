// Many steps of P learners in P N simulations: what `Collector` does step by step, in one call.

#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "acting.h"
#include "forces.h"
#include "recording.h"
#include "task.h"

// `mjb_step` of MuJoCo's library, which is loaded at run time.
using StepBatch = int (*)(void* batch, const int* rows, int count, int substeps, int stage);

// Mirrored by repro/engines/native/collect.py, which checks `collection_size`.
struct Collection {
  const Acting* acting;
  const Recording* recording;
  const Instruction* instructions;
  int64_t instruction_count, memory;
  void* batch;
  StepBatch step;
  const ForcesStep* forces;  // null where the task reads no contact forces
  int64_t substeps, episode_steps;
  double* control;         // of simulation 0
  int64_t control_stride;
  // Of the environments, [P N] or [P N, D].
  double *observations, *task_rewards;
  bool *task_terminated, *task_truncated;
  int64_t* elapsed;
  double* seconds;  // in forward passes and in the simulators
};

class Collecting {
 public:
  explicit Collecting(const Collection& collection)
      : o_(collection),
        a_(*collection.acting),
        actor_(a_),
        task_(collection.instructions, collection.instruction_count, collection.memory),
        actions_(a_.learners * a_.num_envs * actor_.size()) {}

  // From step t on until `stop`, until the first step in which an episode ends, or until MuJoCo
  // fails: how many steps of the rollout have been taken. After the end of an episode the caller
  // resets the simulation and updates the normalizer. A step that failed is not counted; the next
  // call fails in it again, and then has taken none.
  int64_t run(int64_t t, int64_t stop) {
    bool ended = false;
    while (t < stop && !ended) {
      const auto start = Clock::now();
      actor_.act(t, o_.observations, actions_.data());
      const auto acted = Clock::now();
      if (simulate()) return t;
      evaluate();
      ended = record(*o_.recording, t, {o_.observations, o_.task_rewards, o_.task_terminated,
                                        o_.task_truncated});
      o_.seconds[0] += seconds(acted - start);
      o_.seconds[1] += seconds(Clock::now() - acted);
      ++t;
    }
    return t;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }
  int64_t simulations() const { return a_.learners * a_.num_envs; }

  bool simulate() {
    for (int64_t i = 0; i < simulations(); ++i)
      std::copy_n(actions_.data() + i * actor_.size(), actor_.size(),
                  o_.control + i * o_.control_stride);
    if (o_.forces) return step_all_with_forces(o_.batch, *o_.forces);
    return o_.step(o_.batch, nullptr, 0, o_.substeps, 0);
  }

  // Observations, rewards and ends of all simulations.
  void evaluate() {
    for (int64_t i = 0; i < simulations(); ++i) {
      const double* result = task_.run(i, actions_.data() + i * actor_.size());
      const int64_t features = actor_.features();
      std::copy_n(result, features, o_.observations + i * features);
      o_.task_rewards[i] = result[features];
      o_.task_terminated[i] = result[features + 1] != 0;
      o_.task_truncated[i] = ++o_.elapsed[i] >= o_.episode_steps;
    }
  }

  const Collection& o_;
  const Acting& a_;
  Actor actor_;
  TaskProgram task_;
  std::vector<float> actions_;  // as the environments get them, [P, N, A]
};

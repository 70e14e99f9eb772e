// What Python calls for a rollout: pi and V of many samples, one step's actions of a whole pack, and
// many steps of it.

#include <algorithm>
#include <cstdint>

#include "acting.h"
#include "collect.h"
#include "network.h"
#include "recording.h"
#include "task.h"

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

int64_t acting_size() { return sizeof(Acting); }

// One step's actions of all learners, to out; `Actor::act` says what it returns.
int64_t act(const Acting* acting, int64_t t, const double* observations, float* out) {
  return Actor(*acting).act(t, observations, out);
}

int64_t recording_size() { return sizeof(Recording); }

// `record` of recording.h for environments whose steps are taken in Python.
int64_t record_step(const Recording* recording, int64_t t, const double* observations,
                    const double* rewards, const bool* terminated, const bool* truncated) {
  return record(*recording, t, {observations, rewards, terminated, truncated});
}

int64_t collection_size() { return sizeof(Collection); }

// Steps t to `stop` of a rollout; `Collecting::run` says what it returns.
int64_t collect(const Collection* collection, int64_t t, int64_t stop) {
  return Collecting(*collection).run(t, stop);
}

// A task's results for simulations 0 to `rows`, to out [rows, width], by which Python checks that
// the instructions give what NumPy does.
void run_task(const Instruction* instructions, int64_t count, int64_t memory, const float* actions,
              int64_t action_size, int64_t rows, int64_t width, double* out) {
  TaskProgram task(instructions, count, memory);
  for (int64_t row = 0; row < rows; ++row)
    std::copy_n(task.run(row, actions + row * action_size), width, out + row * width);
}
}

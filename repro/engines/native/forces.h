// A step with contact forces, which MuJoCo computes by a call of its own after `mj_step`.
//
// MuJoCo's batches have no such call. They run a function on each simulation, but copy out nothing of
// what it computes. So the step is taken in another `mjData`, inside that function: there an error of
// MuJoCo's ends the call, elsewhere it would end the process.

#pragma once

#include <algorithm>
#include <cstdint>

// Functions of MuJoCo's library, which is loaded at run time; mujoco.h and mjbatch.h declare them.
using OnSimulation = void (*)(const void* model, void* data, int row, void* argument);
using ApplyToBatch = int (*)(void* batch, const int* rows, int count, OnSimulation function,
                             void* argument, int save);
using Advance = void (*)(const void* model, void* data);
using SetState = void (*)(const void* model, void* data, const double* state, int parts);
using GetState = void (*)(const void* model, const void* data, double* state, int parts);

struct DerivedField {
  const double* source;  // in `data`
  double* rows;          // of all simulations, [P N, size]
  int64_t size;
};

// Mirrored in collect.py.
struct ForcesStep {
  ApplyToBatch apply;
  SetState set_state;
  Advance step, post_constraint;
  GetState get_state;
  const void* model;
  void* data;
  double* states;  // of all simulations, [P N, width]
  int64_t width, parts;
  const DerivedField* fields;
  int64_t field_count;
  int64_t substeps;
};

inline void step_with_forces(const void*, void*, int row, void* argument) {
  const ForcesStep& o = *static_cast<const ForcesStep*>(argument);
  double* state = o.states + row * o.width;
  o.set_state(o.model, o.data, state, o.parts);
  for (int64_t i = 0; i < o.substeps; ++i) o.step(o.model, o.data);
  o.post_constraint(o.model, o.data);
  o.get_state(o.model, o.data, state, o.parts);
  for (const DerivedField* field = o.fields; field != o.fields + o.field_count; ++field)
    std::copy_n(field->source, field->size, field->rows + row * field->size);
}

// One step of all simulations; how many have failed.
inline int step_all_with_forces(void* batch, const ForcesStep& step) {
  return step.apply(batch, nullptr, 0, step_with_forces, const_cast<ForcesStep*>(&step), 0);
}

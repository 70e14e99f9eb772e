// A task's expressions as a list of instructions, run for one simulation at a time.
//
// repro/envs/mujoco/expressions.py says what each operation does, and repro/engines/native/program.py
// lists them. Numbers lie in a scratch memory of doubles; those of float32 are held exactly.

#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "moments.h"

enum Operation : int64_t {
  kLoad,          // from an array, row by row
  kLoadAction,    // from the actions
  kStore,         // to an array
  kCopy,          // within the memory
  kConstant,
  kAdd, kSubtract, kMultiply,
  kAddConstant, kSubtractConstant, kMultiplyConstant, kDivideConstant,
  kClip, kSin, kCos, kSumOfSquares, kNorm, kScalarSquare,
  kInside, kBetween, kFinite,
  kBoth, kIsNot,
};

struct Instruction {
  int64_t operation;
  int64_t single;      // whether float32 is computed rather than float64
  int64_t size;        // of the inputs
  int64_t out, a, b;   // places in the memory
  double low, high;    // constants
  double* array;       // first number of the first row
  int64_t stride;      // between rows
};

class TaskProgram {
 public:
  TaskProgram(const Instruction* instructions, int64_t count, int64_t memory)
      : first_(instructions), last_(instructions + count), memory_(memory) {}

  // The memory after all instructions: observation, reward, whether terminated, intermediate results.
  const double* run(int64_t row, const float* action) {
    for (const Instruction* i = first_; i != last_; ++i) run(*i, row, action);
    return memory_.data();
  }

 private:
  template <class Of>
  void each(const Instruction& i, Of of) {
    double* out = memory_.data() + i.out;
    for (int64_t k = 0; k < i.size; ++k) {
      const double value = of(memory_[i.a + k], memory_[i.b + k]);
      // A sum, product or quotient of floats that is rounded twice is the one rounded once.
      out[k] = i.single ? float(value) : value;
    }
  }

  template <class Holds>
  void all(const Instruction& i, Holds holds) {
    bool found = true;
    for (int64_t k = 0; k < i.size; ++k) found &= holds(memory_[i.a + k]);
    memory_[i.out] = found;
  }

  void run(const Instruction& i, int64_t row, const float* action) {
    const double low = i.low, high = i.high;
    double* out = memory_.data() + i.out;
    const double* a = memory_.data() + i.a;
    switch (Operation(i.operation)) {
      case kLoad: std::copy_n(i.array + row * i.stride, i.size, out); break;
      case kLoadAction: std::copy_n(action + i.a, i.size, out); break;
      case kStore: std::copy_n(a, i.size, i.array + row * i.stride); break;
      case kCopy: std::copy_n(a, i.size, out); break;
      case kConstant: *out = low; break;
      case kAdd: each(i, [](double x, double y) { return x + y; }); break;
      case kSubtract: each(i, [](double x, double y) { return x - y; }); break;
      case kMultiply: each(i, [](double x, double y) { return x * y; }); break;
      case kAddConstant: each(i, [=](double x, double) { return x + low; }); break;
      case kSubtractConstant: each(i, [=](double x, double) { return x - low; }); break;
      case kMultiplyConstant: each(i, [=](double x, double) { return x * low; }); break;
      case kDivideConstant: each(i, [=](double x, double) { return x / low; }); break;
      case kClip:  // lets NaN through
        each(i, [=](double x, double) { return x < low ? low : x > high ? high : x; });
        break;
      case kSin: each(i, [](double x, double) { return std::sin(x); }); break;
      case kCos: each(i, [](double x, double) { return std::cos(x); }); break;
      case kSumOfSquares: *out = i.single ? squares<float>(a, i.size) : squares<double>(a, i.size); break;
      case kNorm: *out = norm(a, i.size); break;
      // The exponent comes from memory: the compiler would make x * x of a 2.
      case kScalarSquare: each(i, [=](double x, double) { return std::pow(x, low); }); break;
      case kInside: all(i, [=](double x) { return low < x && x < high; }); break;
      case kBetween: all(i, [=](double x) { return low <= x && x <= high; }); break;
      case kFinite: all(i, [](double x) { return std::isfinite(x); }); break;
      case kBoth: each(i, [](double x, double y) { return x != 0 && y != 0; }); break;
      case kIsNot: each(i, [](double x, double) { return x == 0; }); break;
    }
  }

  template <class Real>
  static Real squares(const double* x, int64_t size) {
    std::vector<Real> terms(size);
    for (int64_t k = 0; k < size; ++k) terms[k] = Real(x[k]) * Real(x[k]);
    return pairwise_sum(terms.data(), size);
  }

  static double norm(const double* x, int64_t size) {
    double sum = 0;
    for (int64_t k = 0; k < size; ++k) sum += x[k] * x[k];
    return std::sqrt(sum);
  }

  const Instruction *first_, *last_;
  std::vector<double> memory_;
};

#pragma once

#include <functional>

#include "base/thread_pool.h"
#include "runtime/execution.h"
#include "runtime/ops/linear.h"

namespace arrowmind::runtime {

// A linear layer by itself, over rows that a caller holds: what a plan does with it, without a plan.
struct Application {
  LinearWeights weights;
  BufferType activation = BufferType::kF32;      // what the rows become before they meet the weights
  const float* multiplier = nullptr;             // [k] or null; what the rows are multiplied by first
  qmatmul::Bound bound = qmatmul::Bound::kNone;  // of the codes
};

// Threads that share tasks: a pool's, or a team's of another runtime.
struct Threads {
  int count;
  std::function<void(int64_t tasks, const ThreadPool::Body& body)> run;
};

// out[m][n] = bias[n] + sum_k form(x[m][k] * multiplier[k]) * W[n][k] for `rows` rows, next to each other in
// `x` and `out`. The same bits as in a plan, for any number of rows and threads. Throws Error(kWeight) where
// weights and activations do not go together.
void apply_linear(const Application& layer, const float* x, int64_t rows, float* out, const Threads& threads);

}  // namespace arrowmind::runtime

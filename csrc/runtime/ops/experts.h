#pragma once

#include <memory>

#include "kernels/activate/activate.h"
#include "runtime/experts.h"
#include "runtime/plan.h"

namespace arrowmind::runtime {

struct ExpertsOptions {
  int input = -1;     // rows as the gates and ups meet them: float32 or codes
  int route = -1;     // what add_route() writes
  int output = -1;    // float32 [hidden]
  int guess = -1;     // what add_route() writes for the next feed-forward with experts, or -1
  int guessed = 0;    // experts that this one has
  int residual = -1;  // float32 [hidden] or -1; may be the output
  activate::Kind activation = activate::Kind::kSilu;
  BufferType inner = BufferType::kF32;  // what rows become before they meet the downs
  int64_t inner_group = 0;              // kI8Block: k per scale of the downs
};

// Buffers of the plan that the operator has to itself: float32, `top` rows of what is named for each token.
struct ExpertsScratch {
  int lists = -1;
  int gathered = -1;  // rows as the gates and ups meet them, RowForm::words of each
  int between = -1;   // gate | up
  int codes = -1;     // what the downs meet, or -1 where that is float32
  int results = -1;   // [hidden]
};

// output = residual + sum over the row's experts e, in the order of the route, of
//   weight[e] * down_e(activation(gate_e(x)) * up_e(x))
// products rounded, then the sum: the bits of a row depend on nothing but the row. Each expert meets all rows
// that chose it at once.
void add_experts(Plan& plan, std::shared_ptr<ExpertSource> source, const ExpertsOptions& options);

}  // namespace arrowmind::runtime

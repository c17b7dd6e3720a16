#pragma once

#include "runtime/on_device/lowering.h"
#include "runtime/ops/experts.h"
#include "runtime/ops/row_form.h"

namespace arrowmind::runtime {

// The experts of a feed-forward on a device: each is given the rows that were sent to it. False where devices
// have no kernel for a matrix.
bool lower_experts(Lowering& lowering, const ExpertSource& source, const ExpertsOptions& options,
                   const RowForm& outer, const RowForm& inner);

// Steps of each expert by itself, whose weights may be anywhere, or come and go: they belong to the step
// before, which the CPU runs, and leave their results by place. False as above.
bool lower_single_experts(Lowering& lowering, ExpertSource& source, const ExpertsOptions& options,
                          const RowForm& outer, const RowForm& inner);

}  // namespace arrowmind::runtime

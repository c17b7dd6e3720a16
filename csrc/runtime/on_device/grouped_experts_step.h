#pragma once

#include "runtime/on_device/lowering.h"
#include "runtime/ops/experts.h"
#include "runtime/ops/row_form.h"

namespace arrowmind::runtime {

// The experts of a feed-forward on a device, all of them at once: rows are sorted by their experts there, and
// each of the three products is one launch. Nobody waits for the route. False, and nothing is added, where
// experts are not alike, may come and go, or where what a kernel takes at a place is too little for them.
bool lower_grouped_experts(Lowering& lowering, const ExpertSource& source, const ExpertsOptions& options,
                           const RowForm& outer, const RowForm& inner, const ExpertsScratch& scratch);

}  // namespace arrowmind::runtime

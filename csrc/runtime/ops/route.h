#pragma once

#include "kernels/route/route.h"
#include "runtime/plan.h"

namespace arrowmind::runtime {

// output = the experts of each row of `logits`, as whole numbers, and then their weights (kernels/route);
// `router` says how, but for its rows and the number of experts, which is the width of the logits.
void add_route(Plan& plan, int logits, int output, const route::Params& router);

// buffer = buffer * the weight of the row's one expert in `route`: a gate on a whole row.
void add_row_scale(Plan& plan, int route, int buffer);

}  // namespace arrowmind::runtime

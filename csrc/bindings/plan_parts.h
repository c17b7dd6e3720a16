#pragma once

#include "bindings/bindings.h"
#include "runtime/plan.h"

// Methods of the class of plans that have files of their own; see experts.h and senses.h as well.

namespace arrowmind::bindings {

void bind_plan_embed(nb::class_<runtime::Plan>& plan);
void bind_plan_runs(nb::class_<runtime::Plan>& plan);

}  // namespace arrowmind::bindings

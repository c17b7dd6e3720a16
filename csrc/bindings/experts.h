#pragma once

#include <string>

#include "bindings/bindings.h"
#include "kernels/activate/activate.h"
#include "kernels/route/route.h"
#include "runtime/plan.h"

namespace arrowmind::bindings {

// A router in Python's words.
struct RouterDescription {
  int64_t top = 1;
  std::string score = "softmax";
  int64_t groups = 1, kept = 1;
  std::string group_score = "largest";
  bool normalised = false;
  float factor = 1.0f;
};

// Everything but rows, experts and bias. Throws Error(kInvalidArgument).
route::Params router_of(const RouterDescription& description);

// The function called `name`. Throws Error(kInvalidArgument).
activate::Kind activation_kind(const std::string& name);

// Adds the methods of experts to the class of plans.
void bind_plan_experts(nb::class_<runtime::Plan>& plan);

}  // namespace arrowmind::bindings

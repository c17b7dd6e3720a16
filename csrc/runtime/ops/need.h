#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "residency/residency.h"
#include "runtime/plan.h"

namespace arrowmind::runtime {

struct NeedOptions {
  std::vector<int32_t> blocks;  // in memory from here to the next of these operators; none gives back
  std::vector<int32_t> ahead;   // needed soon: read while the operators behind this one compute
};

// Waits for the weights of the operators behind it.
void add_need(Plan& plan, std::shared_ptr<residency::Residency> residency, NeedOptions options);

}  // namespace arrowmind::runtime

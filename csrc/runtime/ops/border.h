#pragma once

#include "runtime/plan.h"

namespace arrowmind::runtime {

// A block of the model begins: what a device that holds two blocks at a time is sent together.
void add_border(Plan& plan);

}  // namespace arrowmind::runtime

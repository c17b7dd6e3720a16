#pragma once

#include <memory>

#include "weights/weight_table.h"

namespace arrowmind::bindings {

struct WeightTableHandle {
  std::shared_ptr<const weights::WeightTable> table;
};

}  // namespace arrowmind::bindings

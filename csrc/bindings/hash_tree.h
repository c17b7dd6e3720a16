#pragma once

#include <memory>

#include "arrow/hash_tree.h"

namespace arrowmind::bindings {

struct TreeHandle {
  std::shared_ptr<const arrow::HashTree> tree;
};

}  // namespace arrowmind::bindings

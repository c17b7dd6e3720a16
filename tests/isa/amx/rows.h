#pragma once

#include <vector>

#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::isa_test {

// The rows of rows.inc.
std::vector<qmatmul::Row> amx_model_rows();

}  // namespace arrowmind::isa_test

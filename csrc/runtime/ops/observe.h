#pragma once

#include "runtime/plan.h"

namespace arrowmind::runtime {

// Statistics of the columns of a float32 buffer, over all tokens of all runs so far; for calibration.
struct ColumnStatistics {
  double* magnitude = nullptr;  // [columns] largest |x|; a NaN stays out
  double* squares = nullptr;    // [columns] sum of x * x
};

// Adds what passes through `input` to the statistics, which the caller keeps alive and has set to zero. Runs
// on several threads add one after the other, in no fixed order: sums may differ in their last bits.
void add_observe(Plan& plan, int input, const ColumnStatistics& statistics);

}  // namespace arrowmind::runtime

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

// Rows of a float32 buffer as they pass; for moments that a caller works out, such as X^T X.
struct RowRecord {
  float* rows = nullptr;     // [capacity, columns]
  int64_t capacity = 0;      // rows that fit
  int64_t* count = nullptr;  // rows recorded so far; the caller sets it to zero between runs
};

// Appends what passes through `input` to the record, which the caller keeps alive. Rows come in the order of
// tokens where a run is one micro-batch, and micro-batch by micro-batch in no fixed order else. A run that
// brings more rows than fit throws Error(kInvalidArgument) and records none of the rows beyond.
void add_record(Plan& plan, int input, const RowRecord& record);

}  // namespace arrowmind::runtime

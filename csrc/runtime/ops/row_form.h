#pragma once

#include "kernels/qmatmul/qmatmul.h"
#include "kernels/quantise/quantise.h"
#include "runtime/execution.h"

namespace arrowmind::runtime {

// How rows of `width` values lie when they meet weights: float32, or codes with what belongs to them.
struct RowForm {
  RowForm(BufferType form, int64_t columns, int64_t block_group);

  BufferType type;
  int64_t width;
  int64_t group;                                 // kI8Block: k per scale of the weights
  int64_t stride;                                // elements of a row
  int64_t scales, sums;                          // of a row
  int64_t words;                                 // of 4 bytes, of a row and all that belongs to it
  const quantise::Row* coder;                    // makes the codes; null: float32
  Slot over(float* memory, int64_t rows) const;  // `rows` rows in words * rows words of memory
  // Row `from` of one place to row `to` of another.
  void copy(const Slot& source, int64_t from, const Slot& target, int64_t to) const;
  // Rows of `slot` from `row` on as the activations of a product.
  void bind(const Slot& slot, int64_t row, qmatmul::Params& params) const;
  // Rows [begin, end) of float32, `x_stride` apart, to the same rows of `slot`; not for float32.
  void quantise(const float* x, int64_t x_stride, const Slot& slot, int64_t begin, int64_t end) const;
};

}  // namespace arrowmind::runtime

#pragma once

#include <optional>

#include "base/error.h"
#include "bindings/senses.h"
#include "runtime/batch.h"
#include "runtime/plan.h"

// Batches of plans that read rows of floats in the place of token ids, checked.

namespace arrowmind::bindings {

inline void check_columns(const runtime::Plan& plan, const FloatRows& rows) {
  if (plan.source() < 0 || static_cast<int64_t>(rows.shape(1)) != plan.columns(plan.source())) {
    fail(ErrorKind::kInvalidArgument, "rows of ", rows.shape(1), " columns; ",
         plan.source() < 0 ? 0 : plan.columns(plan.source()), " are needed");
  }
}

inline runtime::Batch batch_of_rows(const runtime::Plan& plan, const FloatRows& rows,
                                    const Offsets& offsets) {
  check_columns(plan, rows);
  if (offsets.size() < 1) {
    fail(ErrorKind::kInvalidArgument, "offsets is empty; it needs sequences + 1 values");
  }
  const runtime::Batch batch{nullptr, offsets.data(), static_cast<int64_t>(offsets.size()) - 1};
  runtime::validate_offsets(batch, static_cast<int64_t>(rows.shape(0)), plan.limits().max_length);
  return batch;
}

// Of a forward over a cache: what its sequences gain, either token ids or rows.
inline runtime::Batch cached_batch(const runtime::Plan& plan, size_t sequences,
                                   const std::optional<Offsets>& token_ids, const Offsets& offsets,
                                   const std::optional<FloatRows>& rows) {
  if (offsets.size() != sequences + 1) {
    fail(ErrorKind::kInvalidArgument, offsets.size(), " offsets for ", sequences,
         " sequences; one more than sequences is needed");
  }
  if (token_ids.has_value() == rows.has_value()) {
    fail(ErrorKind::kInvalidArgument, "a forward reads token ids or rows; give one of them");
  }
  if (rows) return batch_of_rows(plan, *rows, offsets);
  const runtime::Batch batch{token_ids->data(), offsets.data(), static_cast<int64_t>(sequences)};
  runtime::validate(batch, static_cast<int64_t>(token_ids->size()), plan.limits().max_length,
                    plan.limits().vocabulary);
  return batch;
}

}  // namespace arrowmind::bindings

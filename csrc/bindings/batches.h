#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/error.h"
#include "bindings/senses.h"
#include "runtime/batch.h"
#include "runtime/cache/kv_cache.h"
#include "runtime/plan.h"

// What forwards of a plan run over, checked: token ids, or rows of floats in their place.

namespace arrowmind::bindings {

inline int64_t sequences_of(const Offsets& offsets) {
  if (offsets.size() < 1) {
    fail(ErrorKind::kInvalidArgument, "offsets is empty; it needs sequences + 1 values");
  }
  return static_cast<int64_t>(offsets.size()) - 1;
}

inline runtime::Batch batch_of_tokens(const runtime::Plan& plan, const Offsets& token_ids,
                                      const Offsets& offsets) {
  const runtime::Batch batch{token_ids.data(), offsets.data(), sequences_of(offsets)};
  runtime::validate(batch, static_cast<int64_t>(token_ids.size()), plan.limits().max_length,
                    plan.limits().vocabulary);
  return batch;
}

inline void check_columns(const runtime::Plan& plan, const FloatRows& rows) {
  if (plan.source() < 0 || static_cast<int64_t>(rows.shape(1)) != plan.columns(plan.source())) {
    fail(ErrorKind::kInvalidArgument, "rows of ", rows.shape(1), " columns; ",
         plan.source() < 0 ? 0 : plan.columns(plan.source()), " are needed");
  }
}

inline runtime::Batch batch_of_rows(const runtime::Plan& plan, const FloatRows& rows,
                                    const Offsets& offsets) {
  check_columns(plan, rows);
  const runtime::Batch batch{nullptr, offsets.data(), sequences_of(offsets)};
  runtime::validate_offsets(batch, static_cast<int64_t>(rows.shape(0)), plan.limits().max_length);
  return batch;
}

// All rows as one sequence; its batch points into it.
class OneSequence {
 public:
  OneSequence(const runtime::Plan& plan, const FloatRows& rows) {
    check_columns(plan, rows);
    if (rows.shape(0) > INT32_MAX) {
      fail(ErrorKind::kInvalidArgument, rows.shape(0), " rows; run fewer at a time");
    }
    offsets_ = {0, static_cast<int32_t>(rows.shape(0))};
  }
  OneSequence(const OneSequence&) = delete;
  OneSequence& operator=(const OneSequence&) = delete;

  runtime::Batch batch() const { return {nullptr, offsets_.data(), offsets_[1] > 0 ? 1 : 0}; }

 private:
  std::array<int32_t, 2> offsets_;
};

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
  return rows ? batch_of_rows(plan, *rows, offsets) : batch_of_tokens(plan, *token_ids, offsets);
}

// How many tokens each of `sequences` gains by such a batch.
inline std::vector<runtime::Growth> growth_of(const std::vector<int64_t>& sequences, const Offsets& offsets) {
  std::vector<runtime::Growth> growth;
  for (size_t s = 0; s < sequences.size(); ++s) {
    growth.push_back({sequences[s], offsets.data()[s + 1] - offsets.data()[s]});
  }
  return growth;
}

}  // namespace arrowmind::bindings

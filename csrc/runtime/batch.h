#pragma once

#include <cstdint>
#include <vector>

namespace arrowmind::runtime {

// Sequences packed end to end, without padding: tokens of sequence s are [offsets[s], offsets[s + 1]).
struct Batch {
  const int32_t* token_ids = nullptr;  // [tokens]
  const int32_t* offsets = nullptr;    // [sequences + 1], offsets[0] == 0
  int64_t sequences = 0;

  int64_t tokens() const { return sequences == 0 ? 0 : offsets[sequences]; }
};

// Throws Error(kInvalidArgument) unless offsets start at 0, end at `tokens`, and every sequence has 1 to
// `max_length` tokens.
void validate_offsets(const Batch& batch, int64_t tokens, int64_t max_length);

// The same, and that all ids are in [0, vocabulary).
void validate(const Batch& batch, int64_t tokens, int64_t max_length, int64_t vocabulary);

// Sequences [begin, end) of a batch.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};

// Cuts a batch into consecutive micro-batches of about `target_tokens` tokens, each at least one sequence.
std::vector<Range> split(const Batch& batch, int64_t target_tokens);

}  // namespace arrowmind::runtime

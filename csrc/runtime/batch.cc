#include "runtime/batch.h"

#include "base/error.h"

namespace arrowmind::runtime {
namespace {

void validate_sequence(const Batch& batch, int64_t sequence, int64_t max_length) {
  const int64_t begin = batch.offsets[sequence];
  const int64_t end = batch.offsets[sequence + 1];
  if (end <= begin || end - begin > max_length) {
    fail(ErrorKind::kInvalidArgument, "sequence ", sequence, " spans tokens [", begin, ", ", end,
         "); a sequence needs 1 to ", max_length, " tokens: truncate or window the text");
  }
}

}  // namespace

void validate_offsets(const Batch& batch, int64_t tokens, int64_t max_length) {
  if (batch.offsets[0] != 0 || batch.offsets[batch.sequences] != tokens) {
    fail(ErrorKind::kInvalidArgument, "offsets must run from 0 to the number of tokens, ", tokens,
         "; they run from ", batch.offsets[0], " to ", batch.offsets[batch.sequences]);
  }
  for (int64_t s = 0; s < batch.sequences; ++s) validate_sequence(batch, s, max_length);
}

void validate(const Batch& batch, int64_t tokens, int64_t max_length, int64_t vocabulary) {
  validate_offsets(batch, tokens, max_length);
  for (int64_t t = 0; t < tokens; ++t) {
    if (batch.token_ids[t] < 0 || batch.token_ids[t] >= vocabulary) {
      fail(ErrorKind::kInvalidArgument, "token id ", batch.token_ids[t], " at position ", t,
           " is outside the vocabulary of ", vocabulary, "; does the tokenizer belong to this model?");
    }
  }
}

std::vector<Range> split(const Batch& batch, int64_t target_tokens) {
  std::vector<Range> ranges;
  for (int64_t begin = 0; begin < batch.sequences;) {
    int64_t end = begin + 1;
    while (end < batch.sequences && batch.offsets[end + 1] - batch.offsets[begin] <= target_tokens) ++end;
    ranges.push_back({begin, end});
    begin = end;
  }
  return ranges;
}

}  // namespace arrowmind::runtime

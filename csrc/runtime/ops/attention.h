#pragma once

#include "runtime/plan.h"

namespace arrowmind::runtime {

struct AttentionOptions {
  int64_t heads = 0;
  int64_t key_heads = 0;  // divides heads
  float scale = 0.0f;     // of scores; 0: 1 / sqrt(head size)
  bool causal = false;
  int64_t window = 0;  // causal: keys of a row, itself included; 0: no bound
  float cap = 0.0f;    // of scores; 0: none
  int64_t layer = -1;  // causal: of a cache, where a forward has one; -1: there is none for it
};

// output = self-attention within each sequence over input = query | key | value; the output is as wide as the
// query.
void add_attention(Plan& plan, int input, int output, const AttentionOptions& options);

}  // namespace arrowmind::runtime

#pragma once

#include "runtime/plan.h"

namespace arrowmind::runtime {

struct CrossAttentionOptions {
  int64_t heads = 0;
  int64_t keys = 0;    // first column of the keys in what a forward looks at (RunOptions::memory)
  int64_t values = 0;  // and of the values
  float scale = 0.0f;  // of scores; 0: 1 / sqrt(head size)
};

// output = attention of each row of input, the queries, to all rows that its sequence looks at.
void add_cross_attention(Plan& plan, int input, int output, const CrossAttentionOptions& options);

}  // namespace arrowmind::runtime

#pragma once

#include <cstdint>
#include <span>

#include "kernels/registry.h"

namespace arrowmind::cross_attention {

// Softmax attention of rows to keys and values that others made. For each query i and each head:
//   score[j] = (sum_d q[i][d] * k[j][d]) * (scale * log2 e)
//   out[i]   = sum_j 2^(score[j] - max_j score) * v[j] / sum_j 2^(score[j] - max_j score)
// The sum over d runs in 16 lanes, d in lane d mod 16, folded in the fixed tree; the sum over j of the values
// in order, one fused multiply-add each; that of the powers in 16 lanes, key j in lane j mod 16. Keys and
// values are read once for each query as they lie, because a decoder has one query at a time.

struct Params {
  const float* q = nullptr;  // [queries, heads * head_dim]
  int64_t q_stride = 0;      // elements between rows
  const float* k = nullptr;  // [keys, heads * head_dim]
  const float* v = nullptr;  // the same
  int64_t kv_stride = 0;     // of both
  int64_t keys = 0;          // at least 1
  int64_t head_dim = 0;
  float scale = 0.0f;    // usually 1 / sqrt(head_dim)
  float* out = nullptr;  // [queries, heads * head_dim]
  int64_t out_stride = 0;
  int64_t heads = 0;
  // Items this call computes: item i is head i % heads of query i / heads.
  int64_t begin = 0, end = 0;
  void* scratch = nullptr;  // scratch_bytes() of this thread's own, aligned to 64
};

// Scratch a call needs for this many keys.
int64_t scratch_bytes(int64_t keys);

using Row = KernelOf<Params>;

std::span<const Row> rows();

// The fastest kernel on this machine; each serves every head size and number of keys.
const Row& select();

}  // namespace arrowmind::cross_attention

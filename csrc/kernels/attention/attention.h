#pragma once

#include <cstdint>
#include <span>

#include "kernels/registry.h"

namespace arrowmind::attention {

// Softmax attention within each sequence, no padding anywhere. Sequence s owns rows [offsets[s],
// offsets[s+1]); for each of its rows i and each head:
//   score[j] = sum_d q[i][d] * scale * k[j][d]                             j over the rows of s
//   out[i]   = sum_j exp(score[j] - max_j score) * v[j] / sum_j exp(score[j] - max_j score)
// A row depends on its own sequence only: the sums over d and j run in order, one fused multiply-add each,
// the sum of the exponentials in 16 lanes, key j in lane j mod 16. A NaN or an infinity in q, k or v makes
// NaN in the rows it reaches.

struct Params {
  // [tokens, heads * head_dim] each, head h in columns [h * head_dim, (h + 1) * head_dim). With q, k and v
  // side by side in one matrix: k = q + heads * head_dim, v = k + heads * head_dim, qkv_stride its row
  // length.
  const float* q = nullptr;
  const float* k = nullptr;
  const float* v = nullptr;
  int64_t qkv_stride = 0;            // elements between rows
  const int32_t* offsets = nullptr;  // [sequences + 1]
  int64_t heads = 0, head_dim = 0;
  float scale = 0.0f;    // usually 1 / sqrt(head_dim)
  float* out = nullptr;  // [tokens, heads * head_dim]
  int64_t out_stride = 0;
  // Items this call computes: item i is head i % heads of sequence i / heads.
  int64_t begin = 0, end = 0;
  void* scratch = nullptr;  // scratch_bytes() of this thread's own, aligned to 64
};

// Rows of queries a kernel may take at once.
constexpr int64_t kMaxBlock = 8;

// Scratch a call needs when no sequence is longer than max_length.
int64_t scratch_bytes(int64_t max_length, int64_t head_dim);

using Function = void (*)(const Params&);

struct Row {
  KernelRow row;
  float cost;  // relative time per multiply-add
  Function run;
};

std::span<const Row> rows();

// The fastest kernel on this machine; each serves every head_dim and length.
const Row& select();

}  // namespace arrowmind::attention

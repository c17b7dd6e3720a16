#pragma once

#include <cstdint>
#include <span>

#include "kernels/registry.h"

namespace arrowmind::attention {

// Softmax attention within each sequence, no padding anywhere. Sequence s owns rows [offsets[s],
// offsets[s+1]); for each of its rows i and each head:
//   score[j] = sum_d q[i][d] * scale * k[j][d]                             j over the keys of row i
//   score[j] = cap * tanh(score[j] / cap)                                  where there is a cap
//   out[i]   = sum_j exp(score[j] - max_j score) * v[j] / sum_j exp(score[j] - max_j score)
// The keys of row i are all rows of the sequence; causal: rows 0 to i, the last `window` of them. Several
// heads of queries in a row may share a head of keys and values.
// A row depends on its own keys only: the sums over d and j run in order, one fused multiply-add each,
// the sum of the exponentials in 16 lanes, key j in lane j mod 16. A NaN or an infinity in q, k or v makes
// NaN in the rows it reaches.

struct Params {
  // q [tokens, heads * head_dim], k and v [tokens, key_heads * head_dim], head h in columns
  // [h * head_dim, (h + 1) * head_dim). With q, k and v side by side in one matrix: k = q + heads * head_dim,
  // v = k + key_heads * head_dim, qkv_stride its row length.
  const float* q = nullptr;
  const float* k = nullptr;
  const float* v = nullptr;
  int64_t qkv_stride = 0;            // elements between rows
  const int32_t* offsets = nullptr;  // [sequences + 1]
  int64_t heads = 0, head_dim = 0;
  int64_t key_heads = 0;  // divides heads: query head h meets key head h / (heads / key_heads)
  float scale = 0.0f;     // usually 1 / sqrt(head_dim)
  bool causal = false;
  int64_t window = 0;    // causal: keys of a row, itself included; 0: no bound
  float cap = 0.0f;      // of scores; 0: none
  float* out = nullptr;  // [tokens, heads * head_dim]
  int64_t out_stride = 0;
  // Items this call computes: item i is key head i % key_heads of sequence i / key_heads, with its queries.
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

#pragma once

#include <cstdint>
#include <span>

#include "kernels/registry.h"

namespace arrowmind::cached_attention {

// Causal attention of new rows to the keys and values of a sequence that lie in pages, theirs among them:
// what kernels/attention/attention.h says of a causal row, bit for bit, but for the rounding of what a format
// holds. A row depends on its own queries and on the keys it sees, and on nothing else.

//
// Formats: float32, float16; int8 with a step per token; and codes of 4 bits for keys and of 4 or 3 for
// values, a step per token each, which are made of float16 pages after the fact (shrink).
enum class Format : uint8_t { kF32, kF16, kI8, kK4V4, kK4V3 };

constexpr bool is_small(Format format) {
  return format == Format::kK4V4 || format == Format::kK4V3;
}

// Where one head of keys of one layer lies in each page of `page_tokens` tokens (a multiple of 16), in bytes
// from the head's part of it. `width` is head_dim, rounded up to 16; what is behind head_dim is zero.
//   keys     [page_tokens / 16][width][16]    transposed: 16 tokens side by side
//   values   [width / 16][page_tokens][16]
//   scales   of keys, then of values: float16 [page_tokens] each; where a format has them
struct Layout {
  Format format = Format::kF32;
  int64_t keys = 0, values = 0, key_scales = 0, value_scales = 0;
  int64_t bytes = 0;  // of the head's part, a multiple of 64
};

Layout layout(Format format, int64_t page_tokens, int64_t head_dim);

// One head of keys of one layer of one sequence.
struct Head {
  char* const* pages = nullptr;  // of the sequence, in the order of its tokens; aligned to 64
  int64_t offset = 0;            // of the head's part in each
  int64_t page_tokens = 0;
  Layout layout;
  // [head_dim], each +c or -c with c^2 * b = 1, b the largest power of two that divides head_dim. Keys and
  // values are multiplied by them, and each b of them by Hadamard's matrix, before they are stored, so that
  // no element stands out; queries likewise, results back. Null: nothing of the kind.
  const float* signs = nullptr;
};

// Largest head_dim.
constexpr int64_t kMaxTurned = 1024;

// Stores `count` rows of keys and values as tokens [first, first + count). Values beyond what a format holds
// become its largest.
struct Write {
  const float *k = nullptr, *v = nullptr;  // [count, head_dim]
  int64_t stride = 0;                      // elements between rows
  int64_t head_dim = 0;
  Head head;
  int64_t first = 0, count = 0;
};

// Queries of new rows, all of which meet one head of keys: query i is member i % group of row i / group. Row
// r is token `cached` + r of the sequence and sees the tokens up to itself, or the last `window` of them.
struct Attend {
  const float* q = nullptr;  // member m of row r is at q + r * q_stride + m * head_dim
  int64_t q_stride = 0;
  float* out = nullptr;  // likewise
  int64_t out_stride = 0;
  int64_t group = 0, head_dim = 0;
  float scale = 0.0f;
  int64_t window = 0;  // 0: no bound
  float cap = 0.0f;    // of scores; 0: none
  Head head;
  // Tokens [small_begin, small_end), whole pages, are read from here instead; empty: none.
  Head small;
  int64_t small_begin = 0, small_end = 0;
  int64_t cached = 0;
  int64_t begin = 0, end = 0;  // queries this call computes
  void* scratch = nullptr;     // scratch_bytes() of this thread's own, aligned to 64
};

// Queries a kernel may take at once.
constexpr int64_t kMaxBlock = 8;

// Scratch of a call that sees no more than `keys` tokens: the length of the sequence, or window + kMaxBlock.
int64_t scratch_bytes(int64_t keys, int64_t head_dim);

// One head's part of one page in float16, and in a small format.
struct Shrink {
  char *from = nullptr, *to = nullptr;
  Layout exact, small;
  int64_t page_tokens = 0, head_dim = 0;
  void* scratch = nullptr;  // kShrinkScratch bytes of this thread's own, aligned to 64
};

constexpr int64_t kShrinkScratch = kMaxTurned * 16 * 5;

// Keys of one head of one page, float32 or float16, turned in place by one angle per pair of elements, the
// same for all tokens: as far as their positions are moved. Pairs as of kernels/rope, from element `first`
// on.
struct Turn {
  char* keys = nullptr;
  Format format = Format::kF16;
  int64_t page_tokens = 0, head_dim = 0;
  int64_t first = 0, pairs = 0;
  bool interleaved = false;
  const float *cosines = nullptr, *sines = nullptr;  // [pairs]
};

// The rows that whole panels of a page stand for, of any format: what write() was given, but for the
// rounding.
struct Read {
  Head head;
  int64_t head_dim = 0;
  int64_t first = 0, count = 0;      // tokens, multiples of 16
  float *k = nullptr, *v = nullptr;  // [count, head_dim]; either may be null
  int64_t stride = 0;                // elements between rows
};

struct Row {
  KernelRow row;
  float cost;  // relative time per multiply-add
  void (*write)(const Write&);
  void (*attend)(const Attend&);
  void (*shrink)(const Shrink&);
  void (*expand)(const Shrink&);  // back, from `to` to `from`: what the codes stand for
  void (*turn)(const Turn&);
  void (*read)(const Read&);
};

std::span<const Row> rows();

// The fastest kernel on this machine; each serves every format, head_dim and length.
const Row& select();

}  // namespace arrowmind::cached_attention

#include <algorithm>
#include <cmath>

#include "buffer.h"
#include "kernels/attention/attention.h"
#include "ops.h"
#include "random.h"

namespace arrowmind::isa_test {
namespace {

struct Case {
  std::vector<int32_t> lengths;
  int64_t heads, head_dim;
  bool rough;
  uint64_t seed;
  int64_t key_heads = 0;
  bool causal = false;
  int64_t window = 0;
  float cap = 0;
  std::string text() const {
    return cat(lengths.size(), " sequences from ", lengths[0], " tokens, ", heads, " heads of ", head_dim,
               rough ? ", special values" : "", causal ? ", causal" : "", ", window ", window);
  }
};

Outcome run(const attention::Row& row, const Case& one) {
  Random random(one.seed);
  const int64_t width = one.heads * one.head_dim;
  const int64_t key_heads = one.key_heads > 0 ? one.key_heads : one.heads;
  const int64_t row_width = width + 2 * key_heads * one.head_dim;
  const int64_t out_stride = width + 3;
  Buffer<int32_t> offsets(static_cast<int64_t>(one.lengths.size()) + 1);
  for (size_t i = 0; i < one.lengths.size(); ++i) {
    offsets[static_cast<int64_t>(i) + 1] = offsets[static_cast<int64_t>(i)] + one.lengths[i];
  }
  const int64_t tokens = offsets[offsets.size() - 1];
  const Buffer<float> qkv =
      filled<float>(tokens * row_width, [&] { return one.rough ? random.rough() : random.real(); });
  Buffer<float> out = filled<float>(tokens * out_stride - 3, [] { return -7.0f; });
  const int64_t longest = *std::max_element(one.lengths.begin(), one.lengths.end());
  Buffer<char> scratch(attention::scratch_bytes(longest, one.head_dim), 64);
  attention::Params p;
  p.q = qkv.data();
  p.k = p.q + width;
  p.v = p.k + key_heads * one.head_dim;
  p.qkv_stride = row_width;
  p.offsets = offsets.data();
  p.heads = one.heads;
  p.key_heads = key_heads;
  p.causal = one.causal;
  p.window = one.window;
  p.cap = one.cap;
  p.head_dim = one.head_dim;
  p.scale = 1.0f / std::sqrt(static_cast<float>(one.head_dim));
  p.out = out.data();
  p.out_stride = out_stride;
  p.end = static_cast<int64_t>(one.lengths.size()) * key_heads;
  p.scratch = scratch.data();
  row.run(p);
  return {{out.begin(), out.end()}, {}};
}

}  // namespace

void test_attention(Report& report, uint64_t seed) {
  std::vector<Case> cases;
  const std::vector<std::vector<int32_t>> all_lengths = {
      {1}, {2, 3, 4, 5}, {6, 7, 8}, {15, 16, 17}, {33, 1, 31}};
  for (const std::vector<int32_t>& lengths : all_lengths) {
    for (const int64_t head_dim : {1, 8, 16, 20, 32, 47, 64}) {
      cases.push_back({lengths, head_dim % 3 + 1, head_dim, head_dim == 20, ++seed});
    }
  }
  cases.push_back({{65, 130}, 2, 32, false, ++seed});
  for (const int64_t window : {0, 1, 5, 20}) {
    cases.push_back({{1, 7, 40, 33}, 6, 20, window == 5, ++seed, 2, true, window, window == 1 ? 4.0f : 0});
  }
  check_rows(report, attention::rows(), cases, [](const auto&, const auto&) { return true; }, run);
}

}  // namespace arrowmind::isa_test

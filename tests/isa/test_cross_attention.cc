#include <cmath>

#include "buffer.h"
#include "kernels/cross_attention/cross_attention.h"
#include "ops.h"
#include "random.h"

namespace arrowmind::isa_test {
namespace {

struct Case {
  int64_t queries, keys, heads, head_dim;
  bool rough;
  uint64_t seed;
  std::string text() const {
    return cat(queries, " queries, ", keys, " keys, ", heads, " heads of ", head_dim,
               rough ? ", special values" : "");
  }
};

Outcome run(const cross_attention::Row& row, const Case& one) {
  Random random(one.seed);
  const int64_t width = one.heads * one.head_dim;
  const int64_t kv_stride = 2 * width + 1, out_stride = width + 3;
  const auto value = [&] { return one.rough ? random.rough() : random.real(); };
  const Buffer<float> q = filled<float>(one.queries * width, value);
  const Buffer<float> kv = filled<float>(one.keys * kv_stride - 1, value);
  Buffer<float> out = filled<float>(one.queries * out_stride - 3, [] { return -7.0f; });
  Buffer<char> scratch(cross_attention::scratch_bytes(one.keys), 64);
  cross_attention::Params p;
  p.q = q.data();
  p.q_stride = width;
  p.k = kv.data();
  p.v = p.k + width;
  p.kv_stride = kv_stride;
  p.keys = one.keys;
  p.head_dim = one.head_dim;
  p.scale = 1.0f / std::sqrt(static_cast<float>(one.head_dim));
  p.out = out.data();
  p.out_stride = out_stride;
  p.heads = one.heads;
  p.end = one.queries * one.heads;
  p.scratch = scratch.data();
  row.run(p);
  return {{out.begin(), out.end()}, {}};
}

}  // namespace

void test_cross_attention(Report& report, uint64_t seed) {
  std::vector<Case> cases;
  for (const int64_t keys : {1, 15, 16, 17, 50}) {
    for (const int64_t head_dim : {1, 16, 20, 64, 80}) {
      cases.push_back({keys % 3 + 1, keys, head_dim % 3 + 1, head_dim, head_dim == 20, ++seed});
    }
  }
  check_rows(report, cross_attention::rows(), cases, [](const auto&, const auto&) { return true; }, run);
}

}  // namespace arrowmind::isa_test

#include <algorithm>
#include <cmath>

#include "buffer.h"
#include "kernels/cached_attention/cached_attention.h"
#include "ops.h"
#include "random.h"

namespace arrowmind::isa_test {
namespace {

using cached_attention::Format;

struct Case {
  Format format;
  std::vector<int64_t> steps;  // rows that come at once
  int64_t group, head_dim, page_tokens;
  bool rough;
  uint64_t seed;
  int64_t window = 0;
  float cap = 0;
  std::string text() const {
    return cat("format ", static_cast<int>(format), ", ", steps.size(), " steps from ", steps[0], " rows, ",
               group, " heads of ", head_dim, rough ? ", special values" : "", ", window ", window);
  }
};

// One head of keys of one sequence; the end of each page touches memory that is not its own.
Outcome run(const cached_attention::Row& row, const Case& one) {
  Random random(one.seed);
  int64_t tokens = 0;
  for (const int64_t step : one.steps) tokens += step;
  const int64_t queries = one.group * one.head_dim, width = queries + 2 * one.head_dim,
                out_stride = queries + 3;
  const Buffer<float> qkv =
      filled<float>(tokens * width, [&] { return one.rough ? random.rough() : random.real(); });
  Buffer<float> out = filled<float>(tokens * out_stride - 3, [] { return -7.0f; });
  Buffer<char> scratch(cached_attention::scratch_bytes(tokens, one.head_dim), 64);
  const cached_attention::Layout layout = cached_attention::layout(one.format, one.page_tokens, one.head_dim);
  std::vector<Buffer<char>> memory;
  std::vector<char*> pages;
  for (int64_t begin = 0; begin < tokens; begin += one.page_tokens) {
    memory.emplace_back(layout.bytes, 64);
    pages.push_back(memory.back().data());
  }
  cached_attention::Attend p;
  p.q_stride = width;
  p.out_stride = out_stride;
  p.group = one.group;
  p.head_dim = one.head_dim;
  p.scale = 1.0f / std::sqrt(static_cast<float>(one.head_dim));
  p.window = one.window;
  p.cap = one.cap;
  p.head = {.pages = pages.data(), .offset = 0, .page_tokens = one.page_tokens, .layout = layout};
  p.scratch = scratch.data();
  for (const int64_t step : one.steps) {
    const float* rows = qkv.data() + p.cached * width;
    row.write({.k = rows + queries,
               .v = rows + queries + one.head_dim,
               .stride = width,
               .head_dim = one.head_dim,
               .head = p.head,
               .first = p.cached,
               .count = step});
    p.q = rows;
    p.out = out.data() + p.cached * out_stride;
    p.end = step * one.group;
    row.attend(p);
    p.cached += step;
  }
  return {{out.begin(), out.end()}, {}};
}

}  // namespace

void test_cached_attention(Report& report, uint64_t seed) {
  std::vector<Case> cases;
  for (const Format format : {Format::kF32, Format::kF16}) {
    for (const int64_t head_dim : {1, 8, 16, 20, 47, 64}) {
      const bool rough = head_dim == 20;
      cases.push_back({format, {1, 1, 14, 1, 2}, head_dim % 5 + 1, head_dim, 16, rough, ++seed});
      cases.push_back({format, {50, 1, 33}, 7, head_dim, 48, false, ++seed});
    }
    for (const int64_t window : {1, 5, 20}) {
      cases.push_back({format, {40, 1, 30}, 9, 32, 32, window == 5, ++seed, window, window == 1 ? 4.0f : 0});
    }
  }
  check_rows(report, cached_attention::rows(), cases, [](const auto&, const auto&) { return true; }, run);
}

}  // namespace arrowmind::isa_test

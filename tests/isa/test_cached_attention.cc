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

// Pages of one head; the end of each touches memory that is not its own.
struct Pages {
  Pages(Format format, const Case& one, int64_t tokens)
      : layout(cached_attention::layout(format, one.page_tokens, one.head_dim)) {
    for (int64_t begin = 0; begin < tokens; begin += one.page_tokens) {
      memory.emplace_back(layout.bytes, 64);
      pages.push_back(memory.back().data());
    }
  }
  cached_attention::Head head(const Case& one, const float* signs) const {
    return {
        .pages = pages.data(), .offset = 0, .page_tokens = one.page_tokens, .layout = layout, .signs = signs};
  }

  cached_attention::Layout layout;
  std::vector<Buffer<char>> memory;
  std::vector<char*> pages;
};

// One head of keys of one sequence. In the small formats, whole pages are read small once all of their tokens
// are there.
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
  const bool small = cached_attention::is_small(one.format);
  const Pages full(small ? Format::kF16 : one.format, one, tokens), codes(one.format, one, tokens);
  const float size = 1.0f / std::sqrt(static_cast<float>(one.head_dim & -one.head_dim));
  const Buffer<float> signs = filled<float>(one.head_dim, [&] { return random.one_in(2) ? size : -size; });
  Buffer<char> tile(cached_attention::kShrinkScratch, 64);
  cached_attention::Attend p;
  p.q_stride = width;
  p.out_stride = out_stride;
  p.group = one.group;
  p.head_dim = one.head_dim;
  p.scale = 1.0f / std::sqrt(static_cast<float>(one.head_dim));
  p.window = one.window;
  p.cap = one.cap;
  p.head = full.head(one, small ? signs.data() : nullptr);
  p.small = codes.head(one, signs.data());
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
    const int64_t whole = small ? (p.cached + step) / one.page_tokens : 0;
    for (int64_t page = p.small_end / one.page_tokens; page < whole; ++page) {
      const size_t i = static_cast<size_t>(page);
      const cached_attention::Shrink shrink{.from = full.pages[i],
                                            .to = codes.pages[i],
                                            .exact = full.layout,
                                            .small = codes.layout,
                                            .page_tokens = one.page_tokens,
                                            .head_dim = one.head_dim,
                                            .scratch = tile.data()};
      row.shrink(shrink);
      if (page % 2 == 0) row.expand(shrink);
    }
    p.small_end = whole * one.page_tokens;
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
  for (const Format format : {Format::kF32, Format::kF16, Format::kI8, Format::kK4V4, Format::kK4V3}) {
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

// cached_attention: a token of one sequence behind many, as many queries to a head of keys as Qwen2.5-0.5B
// has.

#include <cstring>
#include <vector>

#include "float_rows.h"
#include "kernels/cached_attention/cached_attention.h"

namespace arrowmind::bench {
namespace {

using cached_attention::Format;

constexpr int64_t kGroup = 7, kHeadDim = 64, kPageTokens = 64;

struct Named {
  Format format;
  const char* name;
};

// Pages of one head; small ones are made of float16 by each row itself.
class Pages {
 public:
  Pages(Format format, int64_t tokens)
      : layout_(cached_attention::layout(format, kPageTokens, kHeadDim)),
        memory_(layout_.bytes * ceil_div(tokens, kPageTokens)) {
    for (int64_t i = 0; i < ceil_div(tokens, kPageTokens); ++i) {
      pages_.push_back(memory_.as<char>() + i * layout_.bytes);
    }
  }
  cached_attention::Head head() const { return {pages_.data(), 0, kPageTokens, layout_}; }

 private:
  cached_attention::Layout layout_;
  AlignedBuffer memory_;
  std::vector<char*> pages_;
};

void bench_format(Report& report, const Named& named, int64_t tokens) {
  const bool small = cached_attention::is_small(named.format);
  const Pages full(small ? Format::kF16 : named.format, tokens), codes(named.format, tokens);
  const AlignedBuffer rows = normal_floats(2 * tokens * kHeadDim), queries = normal_floats(kGroup * kHeadDim);
  AlignedBuffer out(kGroup * kHeadDim * 4), tile(cached_attention::kShrinkScratch);
  AlignedBuffer scratch(cached_attention::scratch_bytes(tokens, kHeadDim));
  const cached_attention::Head head = full.head();
  const float* keys = const_cast<AlignedBuffer&>(rows).as<float>();
  const cached_attention::Row& writer = cached_attention::select();
  writer.write({.k = keys,
                .v = keys + kHeadDim,
                .stride = 2 * kHeadDim,
                .head_dim = kHeadDim,
                .head = head,
                .first = 0,
                .count = tokens});
  for (size_t i = 0; small && i < static_cast<size_t>(tokens / kPageTokens); ++i) {
    writer.shrink({.from = head.pages[i],
                   .to = codes.head().pages[i],
                   .exact = head.layout,
                   .small = codes.head().layout,
                   .page_tokens = kPageTokens,
                   .head_dim = kHeadDim,
                   .scratch = tile.as<void>()});
  }
  cached_attention::Attend p;
  p.q = const_cast<AlignedBuffer&>(queries).as<float>();
  p.out = out.as<float>();
  p.group = kGroup;
  p.head_dim = kHeadDim;
  p.scale = 0.125f;
  p.head = head;
  p.small = codes.head();
  p.small_end = small ? tokens / kPageTokens * kPageTokens : 0;
  p.cached = tokens - 1;
  p.end = kGroup;
  p.scratch = scratch.as<void>();
  FloatCase what;
  what.shape = cat(named.name, " ", tokens, " x ", kGroup, " x ", kHeadDim);
  what.operations = 4.0 * static_cast<double>(tokens * kGroup * kHeadDim);
  what.bytes = static_cast<double>((small ? codes : full).head().layout.bytes * tokens / kPageTokens);
  what.output = p.out;
  what.output_bytes = static_cast<size_t>(kGroup * kHeadDim) * 4;
  bench_rows(
      report, cached_attention::rows(), what, [](const cached_attention::Row&) { return true; },
      [&](const cached_attention::Row& row) { row.attend(p); });
}

void run(Report& report) {
  for (const Named& named :
       {Named{Format::kF32, "fp32"}, Named{Format::kF16, "fp16"}, Named{Format::kI8, "int8"},
        Named{Format::kK4V4, "k4v4"}, Named{Format::kK4V3, "k4v3"}}) {
    for (const int64_t tokens : {256, 4096}) bench_format(report, named, tokens);
  }
}

const Registration op("cached_attention", run);

}  // namespace
}  // namespace arrowmind::bench

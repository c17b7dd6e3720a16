#include "bindings/cached_attention.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/half.h"
#include "bindings/arrays.h"

namespace arrowmind::bindings {
namespace {

using cached_attention::Format;

struct Form {
  std::string format;
  int64_t heads, key_heads;
  float scale;
  int64_t page_tokens, window;
  float cap;
};

// One sequence in pages of its own.
class Pages {
 public:
  Pages(const cached_attention::Layout& layout, int64_t key_heads, int64_t tokens, int64_t page_tokens)
      : layout_(layout), page_tokens_(page_tokens), stride_(layout.bytes * key_heads) {
    const int64_t count = ceil_div(tokens, page_tokens);
    memory_.resize(std::max<int64_t>(1, count * stride_));
    // What no token is written to must not show: a NaN in every format.
    std::fill_n(memory_.as<unsigned char>(), count * stride_, static_cast<unsigned char>(0xff));
    for (int64_t i = 0; i < count; ++i) pages_.push_back(memory_.as<char>() + i * stride_);
  }

  cached_attention::Head head(int64_t key_head) const {
    return {pages_.data(), key_head * layout_.bytes, page_tokens_, layout_};
  }

 private:
  AlignedBuffer memory_;
  cached_attention::Layout layout_;
  int64_t page_tokens_, stride_;
  std::vector<char*> pages_;
};

void run(const std::string& name, const Matrix<const float>& qkv, const Vector<const int32_t>& rows,
         const Form& form, const Matrix<float>& out, int64_t repeat) {
  const cached_attention::Row& row = kernel_by_name(cached_attention::rows(), name);
  const char* op = "cached_attention";
  require(op, form.heads >= 1 && extent(out, 1) % form.heads == 0, "out is no whole number of heads wide");
  require(op, form.key_heads >= 1 && form.heads % form.key_heads == 0,
          "heads of keys do not divide the heads");
  require(op, form.page_tokens >= 16 && form.page_tokens <= 4096 && form.page_tokens % 16 == 0,
          "pages hold a multiple of 16 tokens, up to 4096");
  require(op, form.window >= 0, "a window is at least 0");
  const int64_t head_dim = extent(out, 1) / form.heads;
  require(
      op,
      extent(qkv, 1) == extent(out, 1) + 2 * form.key_heads * head_dim && extent(qkv, 0) == extent(out, 0),
      "qkv must be as wide as out, keys and values, and as long as out");
  require_offsets(op, rows, extent(qkv, 0));
  require(op, head_dim <= cached_attention::kMaxTurned, "heads are too large");
  require(op, !cached_attention::is_small(cache_format(form.format)), "pages of this format are not written");
  const int64_t tokens = extent(qkv, 0), width = extent(qkv, 1);
  const Pages pages(cached_attention::layout(cache_format(form.format), form.page_tokens, head_dim),
                    form.key_heads, tokens, form.page_tokens);
  cached_attention::Attend p;
  p.q_stride = width;
  p.out_stride = extent(out, 1);
  p.group = form.heads / form.key_heads;
  p.head_dim = head_dim;
  p.scale = form.scale;
  p.window = form.window;
  p.cap = form.cap;
  AlignedBuffer scratch(cached_attention::scratch_bytes(tokens, head_dim));
  p.scratch = scratch.as<void>();
  nb::gil_scoped_release release;
  for (size_t step = 0; step + 1 < rows.size(); ++step) {
    const int64_t first = rows(step), count = rows(step + 1) - first;
    for (int64_t head = 0; head < form.key_heads; ++head) {
      const float* k = qkv.data() + first * width + (form.heads + head) * head_dim;
      p.head = pages.head(head);
      row.write({.k = k,
                 .v = k + form.key_heads * head_dim,
                 .stride = width,
                 .head_dim = head_dim,
                 .head = p.head,
                 .first = first,
                 .count = count});
      const int64_t column = head * p.group * head_dim;
      p.q = qkv.data() + first * width + column;
      p.out = out.data() + first * p.out_stride + column;
      p.cached = first;
      p.end = count * p.group;
      for (int64_t i = 0; i < repeat; ++i) row.attend(p);
    }
  }
}

}  // namespace

Format cache_format(const std::string& name) {
  constexpr std::pair<const char*, Format> kFormats[] = {{"fp32", Format::kF32},
                                                         {"fp16", Format::kF16},
                                                         {"int8", Format::kI8},
                                                         {"k4v4", Format::kK4V4},
                                                         {"k4v3", Format::kK4V3}};
  for (const auto& [known, format] : kFormats) {
    if (name == known) return format;
  }
  fail(ErrorKind::kInvalidArgument, "a cache of format '", name, "'; use fp32, fp16, int8, k4v4 or k4v3");
}

namespace {

// Rows of keys and of values as a small format holds them.
void shrink(const std::string& name, const Matrix<const float>& rows, const std::string& format,
            const Matrix<float>& out) {
  const cached_attention::Row& row = kernel_by_name(cached_attention::rows(), name);
  const char* op = "cached_attention";
  const int64_t tokens = extent(rows, 0), dim = extent(rows, 1) / 2;
  require(op, tokens >= 16 && tokens <= 4096 && tokens % 16 == 0,
          "a page holds a multiple of 16 tokens, up to 4096");
  require(op, dim >= 1 && dim <= cached_attention::kMaxTurned && extent(rows, 1) == 2 * dim,
          "rows are keys and values beside each other");
  require(op, extent(out, 0) == tokens && extent(out, 1) == 2 * dim, "rows and out differ in shape");
  require(op, cached_attention::is_small(cache_format(format)), "the format is not small");
  const cached_attention::Layout full = cached_attention::layout(Format::kF16, tokens, dim);
  const cached_attention::Layout small = cached_attention::layout(cache_format(format), tokens, dim);
  const Pages from(full, 1, tokens, tokens), to(small, 1, tokens, tokens);
  row.write({.k = rows.data(),
             .v = rows.data() + dim,
             .stride = 2 * dim,
             .head_dim = dim,
             .head = from.head(0),
             .first = 0,
             .count = tokens});
  AlignedBuffer scratch(cached_attention::kShrinkScratch);
  const cached_attention::Shrink p{.from = from.head(0).pages[0],
                                   .to = to.head(0).pages[0],
                                   .exact = full,
                                   .small = small,
                                   .page_tokens = tokens,
                                   .head_dim = dim,
                                   .scratch = scratch.as<void>()};
  row.shrink(p);
  row.expand(p);
  const uint16_t* keys = reinterpret_cast<const uint16_t*>(p.from + full.keys);
  const uint16_t* values = reinterpret_cast<const uint16_t*>(p.from + full.values);
  const int64_t width = round_up(dim, 16);
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t d = 0; d < dim; ++d) {
      out(t, d) = half_to_float(keys[(t / 16 * width + d) * 16 + t % 16]);
      out(t, dim + d) = half_to_float(values[(d / 16 * tokens + t) * 16 + d % 16]);
    }
  }
}

}  // namespace

void bind_cached_attention(nb::module_& m) {
  m.def("cached_attention_shrink", &shrink, nb::arg("name"), nb::arg("rows"), nb::arg("format"),
        nb::arg("out"),
        "What a page of keys and values [tokens, 2 * head_dim] is in a small format; for tests.");
  m.def(
      "cached_attention_bytes",
      [](const std::string& format, int64_t page_tokens, int64_t head_dim) {
        require("cached_attention",
                page_tokens >= 16 && page_tokens <= 4096 && page_tokens % 16 == 0 && head_dim >= 1 &&
                    head_dim <= cached_attention::kMaxTurned,
                "no such page");
        return cached_attention::layout(cache_format(format), page_tokens, head_dim).bytes;
      },
      nb::arg("format"), nb::arg("page_tokens"), nb::arg("head_dim"), "Bytes of one head in a page.");
  m.def(
      "cached_attention_run",
      [](const std::string& name, const Matrix<const float>& qkv, const Vector<const int32_t>& rows,
         int64_t heads, float scale, const Matrix<float>& out, const std::string& format, int64_t key_heads,
         int64_t page_tokens, int64_t window, float cap, int64_t repeat) {
        run(name, qkv, rows,
            {format, heads, key_heads > 0 ? key_heads : heads, scale, page_tokens, window, cap}, out, repeat);
      },
      nb::arg("name"), nb::arg("qkv"), nb::arg("rows"), nb::arg("heads"), nb::arg("scale"), nb::arg("out"),
      nb::arg("format") = "fp32", nb::arg("key_heads") = 0, nb::arg("page_tokens") = 16,
      nb::arg("window") = 0, nb::arg("cap") = 0.0f, nb::arg("repeat") = 1,
      "Runs the named kernel row over one sequence that comes in steps, rows [rows[i], rows[i + 1]) at a "
      "time; "
      "for tests and benchmarks.");
}

}  // namespace arrowmind::bindings

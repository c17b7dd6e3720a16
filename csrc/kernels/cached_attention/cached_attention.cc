#include "kernels/cached_attention/cached_attention.h"

#include "base/checked.h"

namespace arrowmind::cached_attention {

#define KERNEL(isa, name, cost)    \
  void write_##name(const Write&); \
  void attend_##name(const Attend&);
#include "kernels/cached_attention/kernels.inc"
#undef KERNEL

namespace {

constexpr int64_t kAlignment = 64;

constexpr Row kRows[] = {
#define KERNEL(isa, name, cost) \
  {{"cached_attention", "cached_attention_" #name, Isa::isa, "pages"}, cost, write_##name, attend_##name},
#include "kernels/cached_attention/kernels.inc"
#undef KERNEL
};

}  // namespace

Layout layout(Format format, int64_t page_tokens, int64_t head_dim) {
  const int64_t width = round_up(head_dim, 16);
  const int64_t element = format == Format::kF32 ? 4 : 2;
  Layout made{.format = format};
  made.values = page_tokens * width * element;
  made.bytes = round_up(2 * made.values, kAlignment);
  return made;
}

std::span<const Row> rows() {
  return kRows;
}

const Row& select() {
  return select_kernel(rows(), "cached_attention", [](const Row&) { return true; }, "pages of keys");
}

int64_t scratch_bytes(int64_t keys, int64_t head_dim) {
  // The first panel of 16 keys may begin up to 15 before the first that is seen.
  const int64_t floats = kMaxBlock * (round_up(head_dim, 16) + round_up(keys, 16) + 16);
  return floats * static_cast<int64_t>(sizeof(float));
}

}  // namespace arrowmind::cached_attention

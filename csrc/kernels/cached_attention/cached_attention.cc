#include "kernels/cached_attention/cached_attention.h"

#include "base/checked.h"

namespace arrowmind::cached_attention {

#define KERNEL(isa, name, cost)      \
  void write_##name(const Write&);   \
  void attend_##name(const Attend&); \
  void shrink_##name(const Shrink&); \
  void expand_##name(const Shrink&); \
  void turn_##name(const Turn&);     \
  void read_##name(const Read&);
#include "kernels/cached_attention/kernels.inc"
#undef KERNEL

namespace {

constexpr int64_t kAlignment = 64;

constexpr Row kRows[] = {
#define KERNEL(isa, name, cost)                                        \
  {{"cached_attention", "cached_attention_" #name, Isa::isa, "pages"}, \
   cost,                                                               \
   write_##name,                                                       \
   attend_##name,                                                      \
   shrink_##name,                                                      \
   expand_##name,                                                      \
   turn_##name,                                                        \
   read_##name},
#include "kernels/cached_attention/kernels.inc"
#undef KERNEL
};

// Bytes of 16 elements beside each other.
struct Steps {
  int64_t key, value;
  bool scaled;
};

Steps steps_of(Format format) {
  switch (format) {
    case Format::kF32:
      return {64, 64, false};
    case Format::kF16:
      return {32, 32, false};
    case Format::kI8:
      return {16, 16, true};
    case Format::kK4V4:
      return {8, 8, true};
    case Format::kK4V3:
      return {8, 6, true};
  }
  return {};
}

}  // namespace

Layout layout(Format format, int64_t page_tokens, int64_t head_dim) {
  const int64_t pieces = page_tokens * round_up(head_dim, 16) / 16;
  const Steps steps = steps_of(format);
  Layout made{.format = format};
  made.values = pieces * steps.key;
  made.key_scales = round_up(made.values + pieces * steps.value, 2);
  made.value_scales = made.key_scales + (steps.scaled ? 2 * page_tokens : 0);
  made.bytes = round_up(made.value_scales + (steps.scaled ? 2 * page_tokens : 0), kAlignment);
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

#include "kernels/attention/attention.h"

#include "base/checked.h"

namespace arrowmind::attention {

#define KERNEL(isa, name, cost) void name(const Params&);
#include "kernels/attention/kernels.inc"
#undef KERNEL

namespace {

constexpr Row kRows[] = {
#define KERNEL(isa, name, cost) {{"attention", #name, Isa::isa, "varlen softmax"}, cost, name},
#include "kernels/attention/kernels.inc"
#undef KERNEL
};

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

const Row& select() {
  return select_kernel(rows(), "attention", [](const Row&) { return true; }, "float32 rows");
}

int64_t scratch_bytes(int64_t max_length, int64_t head_dim) {
  const int64_t length = round_up(max_length, 16);
  const int64_t width = round_up(head_dim, 16);
  const int64_t floats = 2 * length * width + kMaxBlock * (width + length);
  return floats * static_cast<int64_t>(sizeof(float));
}

}  // namespace arrowmind::attention

#include "kernels/cross_attention/cross_attention.h"

#include "base/checked.h"

namespace arrowmind::cross_attention {

#define KERNEL(isa, name, cost) void name(const Params&);
#include "kernels/cross_attention/kernels.inc"
#undef KERNEL

namespace {

constexpr Row kRows[] = {
#define KERNEL(isa, name, cost) {{"cross_attention", #name, Isa::isa, "softmax over given keys"}, cost, name},
#include "kernels/cross_attention/kernels.inc"
#undef KERNEL
};

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

const Row& select() {
  return cheapest_kernel(rows());
}

int64_t scratch_bytes(int64_t keys) {
  return round_up(keys, 16) * static_cast<int64_t>(sizeof(float));
}

}  // namespace arrowmind::cross_attention

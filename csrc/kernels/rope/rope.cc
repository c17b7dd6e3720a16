#include "kernels/rope/rope.h"

namespace arrowmind::rope {

#define KERNEL(isa, name, cost) void name(const Params&);
#include "kernels/rope/kernels.inc"
#undef KERNEL

namespace {

constexpr Row kRows[] = {
#define KERNEL(isa, name, cost) {{"rope", #name, Isa::isa, "rotary positions"}, cost, name},
#include "kernels/rope/kernels.inc"
#undef KERNEL
};

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

const Row& select() {
  return cheapest_kernel(rows());
}

}  // namespace arrowmind::rope

#include "kernels/trellis/trellis.h"

namespace arrowmind::trellis {

#define KERNEL(isa, name, cost) void name(const Params&);
#include "kernels/trellis/kernels.inc"
#undef KERNEL

namespace {

constexpr Row kRows[] = {
#define KERNEL(isa, name, cost) {{"trellis", #name, Isa::isa, "nearest codes"}, cost, name},
#include "kernels/trellis/kernels.inc"
#undef KERNEL
};

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

const Row& select() {
  return cheapest_kernel(rows());
}

}  // namespace arrowmind::trellis

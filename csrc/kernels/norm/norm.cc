#include "kernels/norm/norm.h"

namespace arrowmind::norm {

#define KERNEL(isa, name, cost) void name(const Params&);
#include "kernels/norm/kernels.inc"
#undef KERNEL

namespace {

constexpr Row kRows[] = {
#define KERNEL(isa, name, cost) {{"norm", #name, Isa::isa, "layer norm, RMS norm"}, cost, name},
#include "kernels/norm/kernels.inc"
#undef KERNEL
};

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

const Row& select() {
  return cheapest_kernel(rows());
}

}  // namespace arrowmind::norm

#include "kernels/activate/activate.h"

namespace arrowmind::activate {

#define KERNEL(isa, name, cost) void name(const Params&);
#include "kernels/activate/kernels.inc"
#undef KERNEL

namespace {

constexpr Row kRows[] = {
#define KERNEL(isa, name, cost) {{"activate", #name, Isa::isa, "gated and bare nonlinearities"}, cost, name},
#include "kernels/activate/kernels.inc"
#undef KERNEL
};

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

const Row& select() {
  return cheapest_kernel(rows());
}

}  // namespace arrowmind::activate

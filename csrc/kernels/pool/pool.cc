#include "kernels/pool/pool.h"

namespace arrowmind::pool {

#define KERNEL(isa, name, cost) void name(const Params&);
#include "kernels/pool/kernels.inc"
#undef KERNEL

namespace {

constexpr Row kRows[] = {
#define KERNEL(isa, name, cost) \
  {{"pool", #name, Isa::isa, "mean or first token, unit length on demand"}, cost, name},
#include "kernels/pool/kernels.inc"
#undef KERNEL
};

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

const Row& select() {
  return cheapest_kernel(rows());
}

}  // namespace arrowmind::pool

#include "kernels/simd/simd.h"

namespace arrowmind::simd {

#define KERNEL(isa, name, map, cost) void name(const Params&);
#include "kernels/simd/kernels.inc"
#undef KERNEL

namespace {

constexpr Row kRows[] = {
#define KERNEL(isa, name, map, cost) {{"simd", #name, Isa::isa, #map}, Map::map, cost, name},
#include "kernels/simd/kernels.inc"
#undef KERNEL
};

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

const Row& select(Map map) {
  const auto fits = [&](const Row& row) { return row.map == map; };
  return select_kernel(rows(), "simd", fits, cat("map ", static_cast<int>(map)));
}

}  // namespace arrowmind::simd

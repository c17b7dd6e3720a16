#include "kernels/scan/scan.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/checked.h"

namespace arrowmind::scan {

#define KERNEL(isa, name, codes, cost) void name(const Params&);
#include "kernels/scan/kernels.inc"
#undef KERNEL

namespace {

constexpr Row kRows[] = {
#define KERNEL(isa, name, codes, cost) {{"scan", #name, Isa::isa, #codes}, Codes::codes, cost, name},
#include "kernels/scan/kernels.inc"
#undef KERNEL
};

constexpr std::array<std::string_view, 2> kCodesNames = {"bits", "int8"};

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

const Row& select(Codes codes) {
  const auto fits = [&](const Row& row) { return row.codes == codes; };
  return select_kernel(rows(), "scan", fits, cat("codes ", kCodesNames.at(static_cast<size_t>(codes))));
}

int32_t query_limit(int64_t dim) {
  constexpr int64_t kInt32Max = 2147483647;
  return static_cast<int32_t>(std::min<int64_t>(32767, kInt32Max / (128 * std::max<int64_t>(dim, 1))));
}

float quantise_query(const float* query, int64_t dim, int16_t* codes) {
  float largest = 0.0f;
  for (int64_t k = 0; k < dim; ++k) {
    if (!std::isfinite(query[k])) {
      fail(ErrorKind::kInvalidArgument, "[scan] query[", k, "] is ", query[k],
           "; every value must be finite");
    }
    largest = std::max(largest, std::fabs(query[k]));
  }
  const float limit = static_cast<float>(query_limit(dim));
  const float scale = largest / limit;
  const int64_t padded = round_up(dim, kQueryPad);
  std::fill(codes, codes + padded, int16_t{0});
  if (scale == 0.0f) return 0.0f;
  for (int64_t k = 0; k < dim; ++k) {
    const float code = std::clamp(std::nearbyint(query[k] / scale), -limit, limit);
    codes[k] = static_cast<int16_t>(code);
  }
  return scale;
}

}  // namespace arrowmind::scan

#include "kernels/scan/signed_sums.h"

#include <array>
#include <cstddef>
#include <vector>

namespace arrowmind::scan {
namespace {

using Sums = std::array<float, 16>;

// For each half of a byte the signed sums of its four weights, by its bits; bits beyond `dim` weigh nothing.
std::vector<Sums> sums_of_halves(const float* weights, int64_t dim) {
  std::vector<Sums> halves(static_cast<size_t>((dim + 7) / 8 * 2));
  for (size_t half = 0; half < halves.size(); ++half) {
    for (size_t bits = 0; bits < 16; ++bits) {
      float sum = 0.0f;
      for (size_t bit = 0; bit < 4; ++bit) {
        const size_t k = half * 4 + bit;
        if (k < static_cast<size_t>(dim)) sum += ((bits >> bit) & 1) != 0 ? weights[k] : -weights[k];
      }
      halves[half][bits] = sum;
    }
  }
  return halves;
}

}  // namespace

void signed_sums(const uint8_t* codes, int64_t count, const float* weights, int64_t dim, float* out) {
  const std::vector<Sums> halves = sums_of_halves(weights, dim);
  const size_t row_bytes = halves.size() / 2;
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t* code = codes + static_cast<size_t>(i) * row_bytes;
    float low = 0.0f;
    float high = 0.0f;
    for (size_t byte = 0; byte < row_bytes; ++byte) {
      low += halves[2 * byte][code[byte] & 15];
      high += halves[2 * byte + 1][code[byte] >> 4];
    }
    out[i] = low + high;
  }
}

}  // namespace arrowmind::scan

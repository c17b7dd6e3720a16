#include "kernels/scan/rotate.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace arrowmind::scan {
namespace {

constexpr int kRounds = 4;

// Public-domain generator of Vigna: every 64-bit state gives an independent-looking word.
uint64_t splitmix64(uint64_t state) {
  uint64_t z = state + 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

void flip_signs(float* x, int64_t dim, uint64_t seed, int round) {
  const uint64_t stream = splitmix64(seed + static_cast<uint64_t>(round));
  for (int64_t k = 0; k < dim; ++k) {
    const uint64_t word = splitmix64(stream + static_cast<uint64_t>(k / 64));
    if (((word >> (k % 64)) & 1) != 0) x[k] = -x[k];
  }
}

void hadamard(float* x, int64_t size) {
  for (int64_t half = 1; half < size; half *= 2) {
    for (int64_t base = 0; base < size; base += 2 * half) {
      for (int64_t k = base; k < base + half; ++k) {
        const float low = x[k];
        const float high = x[k + half];
        x[k] = low + high;
        x[k + half] = low - high;
      }
    }
  }
  const float norm = 1.0f / std::sqrt(static_cast<float>(size));
  for (int64_t k = 0; k < size; ++k) x[k] *= norm;
}

}  // namespace

void rotate(const float* vector, int64_t dim, uint64_t seed, float* rotated) {
  if (dim <= 0) return;
  if (rotated != vector) std::copy(vector, vector + dim, rotated);
  const int64_t block = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(dim)));
  for (int round = 0; round < kRounds; ++round) {
    flip_signs(rotated, dim, seed, round);
    hadamard(round % 2 == 0 ? rotated : rotated + (dim - block), block);
  }
}

void sign_codes(const float* vectors, int64_t count, int64_t dim, uint64_t seed, uint8_t* codes) {
  const int64_t row_bytes = (dim + 7) / 8;
  std::vector<float> rotated(static_cast<size_t>(dim));
  std::fill(codes, codes + count * row_bytes, uint8_t{0});
  for (int64_t i = 0; i < count; ++i) {
    rotate(vectors + i * dim, dim, seed, rotated.data());
    uint8_t* code = codes + i * row_bytes;
    for (int64_t k = 0; k < dim; ++k) {
      if (rotated[static_cast<size_t>(k)] > 0.0f)
        code[k / 8] = static_cast<uint8_t>(code[k / 8] | 1u << (k % 8));
    }
  }
}

}  // namespace arrowmind::scan

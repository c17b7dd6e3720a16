#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace arrowmind {

// SHA-256 (FIPS 180-4). The processor's SHA instructions are used where ARROWMIND_MAX_ISA allows more than
// scalar code, else plain C++; many messages of one length go side by side through the lanes of AVX-512 or
// AVX2 where that is faster. The digests are the same.
using Digest = std::array<uint8_t, 32>;

class Sha256 {
 public:
  // The first 32 bits of the fractional parts of the square roots of the first 8 primes.
  static constexpr std::array<uint32_t, 8> kStart = {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
                                                     0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u};
  void update(const void* data, int64_t size);
  // The digest of all updates; the object is then used up.
  Digest finish();

 private:
  std::array<uint32_t, 8> state_ = kStart;
  std::array<uint8_t, 64> partial_{};
  int64_t total_ = 0;
};

// out[i] = SHA-256 of the byte `prefix` and the `size` bytes at data[i], for i in [0, count).
void sha256_each(uint8_t prefix, const uint8_t* const* data, int64_t size, int64_t count, Digest* out);

// Name of the implementation sha256_each uses here: scalar, sha, avx2 or avx512.
std::string_view sha256_implementation();

}  // namespace arrowmind

// CRC-32C of a message M is M(x) * x^32 mod P(x) over GF(2), bits reflected: bit 31 holds the coefficient of
// x^0.
//
// The instruction takes 8 bytes in 3 cycles but starts one per cycle, so three streams run at once over
// blocks [A | B | C] and are joined by linearity: crc(A B) = crc(A) * x^(8 |B|) xor crc(B). The factor for a
// fixed block length is a 32-bit constant, and multiplying by a constant is four table look-ups.

#include "base/crc32c.h"

#include <array>
#include <cstring>

#include "base/cpu.h"

namespace arrowmind {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78u;
constexpr uint32_t kOne = 0x80000000u;  // the polynomial 1, reflected

using Table = std::array<uint32_t, 256>;

constexpr uint32_t times_x(uint32_t a) {
  return (a >> 1) ^ ((a & 1u) != 0 ? kPolynomial : 0u);
}

constexpr uint32_t multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (; b != 0; b <<= 1, a = times_x(a)) {
    if ((b & kOne) != 0) product ^= a;
  }
  return product;
}

// x^(8 * bytes) mod P by square and multiply.
constexpr uint32_t power_of_x8(int64_t bytes) {
  uint32_t result = kOne;
  uint32_t square = kOne >> 8;
  for (; bytes > 0; bytes >>= 1, square = multiply(square, square)) {
    if ((bytes & 1) != 0) result = multiply(result, square);
  }
  return result;
}

// kSlices[j][b]: the CRC register after byte b is followed by j zero bytes.
constexpr std::array<Table, 8> make_slices() {
  std::array<Table, 8> slices{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = times_x(crc);
    slices[0][b] = crc;
  }
  for (size_t j = 1; j < 8; ++j) {
    for (size_t b = 0; b < 256; ++b) {
      const uint32_t before = slices[j - 1][b];
      slices[j][b] = (before >> 8) ^ slices[0][before & 0xff];
    }
  }
  return slices;
}

constexpr std::array<Table, 8> kSlices = make_slices();

uint64_t load_u64(const uint8_t* data) {
  uint64_t word;
  std::memcpy(&word, data, sizeof(word));
  return word;
}

uint32_t update_table(const uint8_t* data, int64_t size, uint32_t crc) {
  for (; size >= 8; size -= 8, data += 8) {
    const uint64_t word = load_u64(data) ^ crc;
    crc = 0;
    for (size_t j = 0; j < 8; ++j) crc ^= kSlices[7 - j][(word >> (8 * j)) & 0xff];
  }
  for (; size > 0; --size, ++data) crc = (crc >> 8) ^ kSlices[0][(crc ^ *data) & 0xff];
  return crc;
}

#if defined(__x86_64__)

// Two block lengths: long ones for bulk, short ones so that a few KB are still joined rather than serial.
constexpr int64_t kLongBlock = 8192;
constexpr int64_t kShortBlock = 256;

// Multiplication by x^(8 * bytes), one table per byte of the operand.
constexpr std::array<Table, 4> make_shift(int64_t bytes) {
  const uint32_t factor = power_of_x8(bytes);
  std::array<Table, 4> shift{};
  for (size_t j = 0; j < 4; ++j) {
    for (uint32_t bit = 0; bit < 8; ++bit) shift[j][1u << bit] = multiply(1u << (8 * j + bit), factor);
    for (size_t b = 1; b < 256; ++b) shift[j][b] = shift[j][b & (b - 1)] ^ shift[j][b & (~b + 1)];
  }
  return shift;
}

constexpr std::array<Table, 4> kLongShift = make_shift(kLongBlock);
constexpr std::array<Table, 4> kShortShift = make_shift(kShortBlock);

uint32_t apply(const std::array<Table, 4>& shift, uint32_t crc) {
  return shift[0][crc & 0xff] ^ shift[1][(crc >> 8) & 0xff] ^ shift[2][(crc >> 16) & 0xff] ^
         shift[3][crc >> 24];
}

template <int64_t kBlock>
__attribute__((target("sse4.2"))) uint32_t update_three(const uint8_t*& data, int64_t& size, uint64_t crc,
                                                        const std::array<Table, 4>& shift) {
  while (size >= 3 * kBlock) {
    uint64_t b = 0;
    uint64_t c = 0;
    for (int64_t i = 0; i < kBlock; i += 8) {
      crc = __builtin_ia32_crc32di(crc, load_u64(data + i));
      b = __builtin_ia32_crc32di(b, load_u64(data + kBlock + i));
      c = __builtin_ia32_crc32di(c, load_u64(data + 2 * kBlock + i));
    }
    crc = apply(shift, static_cast<uint32_t>(crc)) ^ b;
    crc = apply(shift, static_cast<uint32_t>(crc)) ^ c;
    data += 3 * kBlock;
    size -= 3 * kBlock;
  }
  return static_cast<uint32_t>(crc);
}

__attribute__((target("sse4.2"))) uint32_t update_sse42(const uint8_t* data, int64_t size, uint32_t start) {
  uint64_t crc = update_three<kLongBlock>(data, size, start, kLongShift);
  crc = update_three<kShortBlock>(data, size, crc, kShortShift);
  for (; size >= 8; size -= 8, data += 8) crc = __builtin_ia32_crc32di(crc, load_u64(data));
  for (; size > 0; --size, ++data) crc = __builtin_ia32_crc32qi(static_cast<uint32_t>(crc), *data);
  return static_cast<uint32_t>(crc);
}

#endif

uint32_t update(const uint8_t* data, int64_t size, uint32_t crc) {
#if defined(__x86_64__)
  // Every CPU with AVX2 has SSE4.2; asking for AVX2 keeps base/cpu the only feature detection.
  if (isa_enabled(Isa::kAvx2)) return update_sse42(data, size, crc);
#endif
  return update_table(data, size, crc);
}

}  // namespace

uint32_t crc32c(const void* data, int64_t size, uint32_t crc) {
  return ~update(static_cast<const uint8_t*>(data), size, ~crc);
}

}  // namespace arrowmind

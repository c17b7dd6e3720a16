#include "weights/buffers.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/checked.h"

namespace arrowmind::weights {
namespace {

constexpr float kMaxCode = 127;

int64_t bytes_of_each(Scale scale) {
  return scale == Scale::kF32 || scale == Scale::kNone ? 4 : scale == Scale::kF16 ? 2 : 1;
}

int64_t groups_of(const Description& tensor) {
  return tensor.group <= 0 ? 1 : ceil_div(tensor.k, tensor.group);
}

// Blocks are looked through whole, without a branch for each value: the compiler takes several at once.
template <typename T, typename Test>
bool all_of(const uint8_t* data, int64_t size, Test test) {
  constexpr int64_t kBlock = 4096;
  for (int64_t at = 0; at < size; at += kBlock) {
    const int64_t end = std::min(at + kBlock, size);
    uint32_t wrong = 0;
    for (int64_t i = at; i < end; i += static_cast<int64_t>(sizeof(T))) {
      T value;
      std::memcpy(&value, data + i, sizeof(T));
      wrong |= test(value) ? 0u : 1u;
    }
    if (wrong != 0) return false;
  }
  return true;
}

// The bits of a float that is finite and >= 0, -0 included.
bool is_scale(uint32_t bits) {
  return bits < 0x7f800000u || bits == 0x80000000u;
}

bool is_zero_point(float value) {
  return std::isfinite(value) && value == std::nearbyint(value) && std::fabs(value) <= kMaxCode;
}

bool is_finite_half(uint16_t bits) {
  return (bits & 0x7c00) != 0x7c00;
}

}  // namespace

int64_t bytes_of(const Description& tensor, Buffer buffer) {
  const int64_t padded = tensor.is_vector ? 1 : round_up(tensor.rows, kPanel);
  const bool is_grid = tensor.scale != Scale::kNone;
  const int64_t rows = is_grid && !tensor.is_packed ? tensor.rows : padded;
  switch (buffer) {
    case Buffer::kCodes:
      return tensor.codes_bytes;
    case Buffer::kScales:  // at most as many as codes
      return is_grid ? rows * groups_of(tensor) * bytes_of_each(tensor.scale) : 4 * padded;
    case Buffer::kZeroPoints:
      return is_grid ? rows * groups_of(tensor) : 4 * padded;
    default:
      return 4 * rows;
  }
}

Presence presence(const Description& tensor, Buffer buffer) {
  const auto when = [](bool needed) { return needed ? Presence::kAlways : Presence::kNever; };
  const bool is_grid = tensor.scale != Scale::kNone;
  switch (buffer) {
    case Buffer::kCodes:
      return Presence::kAlways;
    case Buffer::kScales:
      return when(tensor.is_coded());
    case Buffer::kZeroPoints:
      return is_grid || !tensor.is_coded() ? when(tensor.has_zeros) : Presence::kMaybe;
    case Buffer::kSums:
      return when(!is_grid && tensor.is_coded() && tensor.is_packed);
    default:
      return when(tensor.scale == Scale::kU8 || tensor.scale == Scale::kE4M3);
  }
}

bool holds_sound(const Description& tensor, Buffer buffer, const uint8_t* data, int64_t size) {
  if (buffer == Buffer::kOuterScales) return all_of<uint32_t>(data, size, is_scale);
  if (buffer == Buffer::kZeroPoints && tensor.scale == Scale::kNone) {
    return all_of<float>(data, size, is_zero_point);
  }
  if (buffer != Buffer::kScales) return true;
  switch (tensor.scale) {
    case Scale::kNone:
    case Scale::kF32:
      return all_of<uint32_t>(data, size, is_scale);
    case Scale::kF16:
      return all_of<uint16_t>(data, size, is_finite_half);
    case Scale::kE8M0:
      return all_of<uint8_t>(data, size, [](uint8_t byte) { return byte != 255; });
    case Scale::kE4M3:
      return all_of<uint8_t>(data, size, [](uint8_t byte) { return byte < 127; });
    default:
      return true;
  }
}

}  // namespace arrowmind::weights

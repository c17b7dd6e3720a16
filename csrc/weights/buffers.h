#pragma once

#include <cstdint>

#include "weights/description.h"

// The buffers of a tensor: which it has, how large they are, and what they may hold.

namespace arrowmind::weights {

enum class Buffer : uint8_t { kCodes, kScales, kZeroPoints, kSums, kOuterScales };
enum class Presence : uint8_t { kNever, kMaybe, kAlways };

// Outputs that kernels meet together: rows of packed tensors come in multiples of it.
inline constexpr int64_t kPanel = 16;

Presence presence(const Description& tensor, Buffer buffer);
int64_t bytes_of(const Description& tensor, Buffer buffer);
// Whether its values are such as kernels can do with; codes and sums may be any.
bool holds_sound(const Description& tensor, Buffer buffer, const uint8_t* data, int64_t size);

}  // namespace arrowmind::weights

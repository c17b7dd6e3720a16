// Codes of activations, the same as the CPU's: quantise.h has the formulas.
#include "device/gpu/language.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

namespace {

constexpr uint32_t kThreads = 128, kWarps = kThreads / 32;
constexpr float kSmallest = 0x1p-96f, kLargestFloat = 3.402823466e+38f;

ARROWMIND_DEVICE float not_a_number() {
  return float_of(0x7fc00000u);
}

struct Values {
  const float* x;
  const float* multiplier;
  uint32_t width;
  bool scaled;

  ARROWMIND_DEVICE float operator()(uint32_t k) const { return scaled ? x[k] * multiplier[k] : x[k]; }
};

// Magnitudes in the order of their bits: NaN above infinity above numbers.
struct MostBits {
  ARROWMIND_DEVICE uint32_t operator()(uint32_t a, uint32_t b) const { return a > b ? a : b; }
};
ARROWMIND_DEVICE uint32_t magnitude_bits(float x) {
  return bits_of(x) & 0x7fffffffu;
}

// Codes of four columns from k on as a word; columns behind the width are zeros. Adds them to `sum`.
template <class Encode>
ARROWMIND_DEVICE uint32_t four_codes(const Values& values, uint32_t k, Encode encode, int32_t* sum) {
  uint32_t word = 0;
  for (uint32_t i = 0; i < 4; ++i) {
    if (k + i >= values.width) break;
    const int32_t code = encode(values(k + i));
    *sum += code;
    word |= (static_cast<uint32_t>(code) & 0xffu) << 8 * i;
  }
  return word;
}

struct Shift {
  float factor, zero;
  ARROWMIND_DEVICE int32_t operator()(float x) const {
    return static_cast<int32_t>(round_even(least(most(fused(x, factor, zero), -128.0f), 127.0f)));
  }
};
struct Scale {
  float factor;
  ARROWMIND_DEVICE int32_t operator()(float x) const { return static_cast<int32_t>(round_even(x * factor)); }
};

}  // namespace

// A group quantises a row.
ARROWMIND_KERNEL(kThreads, quantise_i8, const float* x, const float* multiplier, uint32_t* codes,
                 float* scale, int32_t* sum, int32_t* zero, QuantiseParameters p) {
  ARROWMIND_SHARED(float, scratch, kWarps);
  ARROWMIND_SHARED(uint32_t, scratch_bits, kWarps);
  ARROWMIND_SHARED(int32_t, scratch_sum, kWarps);
  const uint32_t row = group_y();
  const Values values = {x + row * uint64_t{p.x_stride}, multiplier, p.width,
                         (p.flags & kHasMultiplier) != 0};
  uint32_t* out = codes + row * uint64_t{p.stride} / 4;
  float low = 0.0f, high = 0.0f;
  uint32_t bits = 0;
  for (uint32_t k = thread(); k < p.width; k += kThreads) {
    const float value = values(k);
    bits = MostBits()(bits, magnitude_bits(value));
    low = least(low, value);
    high = most(high, value);
  }
  low = -fold_group<kWarps>(-low, scratch, Most());
  high = fold_group<kWarps>(high, scratch, Most());
  const float magnitude = float_of(fold_group<kWarps>(bits, scratch_bits, MostBits()));
  const float span = high - low;
  const bool finite = magnitude <= kLargestFloat && span <= kLargestFloat;
  const bool empty = !finite || magnitude < kSmallest;
  const float inverse = 255.0f / span;
  const float code_of_zero = round_even(-128.0f - low * inverse);
  int32_t total = 0;
  for (uint32_t k = 4 * thread(); k < p.width; k += 4 * kThreads) {
    out[k / 4] = empty ? 0 : four_codes(values, k, Shift{inverse, code_of_zero}, &total);
  }
  total = fold_group<kWarps>(total, scratch_sum, Sum());
  if (thread() != 0) return;
  const int32_t own_zero = empty ? 0 : static_cast<int32_t>(code_of_zero);
  scale[row] = empty ? (finite ? 0.0f : not_a_number()) : span / 255.0f;
  sum[row] = empty ? 0 : total - static_cast<int32_t>(p.width) * own_zero;
  zero[row] = own_zero;
}

// A group quantises a row to 16 bits, two codes a word.
ARROWMIND_KERNEL(kThreads, quantise_i16, const float* x, const float* multiplier, uint32_t* codes,
                 float* scale, int32_t* sum, int32_t*, QuantiseParameters p) {
  ARROWMIND_SHARED(uint32_t, scratch_bits, kWarps);
  ARROWMIND_SHARED(int32_t, scratch_sum, kWarps);
  const uint32_t row = group_y();
  const Values values = {x + row * uint64_t{p.x_stride}, multiplier, p.width,
                         (p.flags & kHasMultiplier) != 0};
  uint32_t* out = codes + row * uint64_t{p.stride} / 2;
  uint32_t bits = 0;
  for (uint32_t k = thread(); k < p.width; k += kThreads) bits = MostBits()(bits, magnitude_bits(values(k)));
  const float magnitude = float_of(fold_group<kWarps>(bits, scratch_bits, MostBits()));
  const bool finite = magnitude <= kLargestFloat;
  const bool empty = !finite || magnitude < kSmallest;
  const uint32_t most = 0x7fffffffu / (127u * p.width);
  const float limit = static_cast<float>(most < 32767u ? most : 32767u);
  const Scale encode = {limit / magnitude};
  int32_t total = 0;
  // Rows are padded to fours.
  for (uint32_t k = 2 * thread(); k < ceil_of(p.width, 4) * 4; k += 2 * kThreads) {
    uint32_t word = 0;
    for (uint32_t i = 0; i < 2 && k + i < p.width && !empty; ++i) {
      const int32_t code = encode(values(k + i));
      total += code;
      word |= (static_cast<uint32_t>(code) & 0xffffu) << 16 * i;
    }
    out[k / 2] = word;
  }
  total = fold_group<kWarps>(total, scratch_sum, Sum());
  if (thread() != 0) return;
  scale[row] = empty ? (finite ? 0.0f : not_a_number()) : magnitude / limit;
  sum[row] = total;
}

// A warp quantises a block of a row.
ARROWMIND_KERNEL(kThreads, quantise_i8b, const float* x, const float* multiplier, uint32_t* codes,
                 float* scale, int32_t* sum, int32_t*, QuantiseParameters p) {
  const uint32_t row = group_y(), block = group_x() * kWarps + warp(), first = block * p.block;
  if (block >= p.blocks) return;
  const Values values = {x + row * uint64_t{p.x_stride}, multiplier, p.width,
                         (p.flags & kHasMultiplier) != 0};
  uint32_t bits = 0;
  for (uint32_t k = first + lane(); k < first + p.block; k += 32) {
    if (k < p.width) bits = MostBits()(bits, magnitude_bits(values(k)));
  }
  for (int step = 16; step > 0; step /= 2) bits = MostBits()(bits, shuffle_xor(bits, step));
  const float magnitude = float_of(bits);
  const bool finite = magnitude <= kLargestFloat;
  const bool empty = !finite || magnitude < kSmallest;
  uint32_t* out = codes + row * uint64_t{p.stride} / 4;
  const float factor = 127.0f / magnitude;
  for (uint32_t part = 0; part < p.block / p.part; ++part) {
    int32_t total = 0;
    for (uint32_t k = part * p.part + 4 * lane(); k < (part + 1) * p.part; k += 128) {
      out[(first + k) / 4] = empty ? 0 : four_codes(values, first + k, Scale{factor}, &total);
    }
    total = warp_sum(total);
    if (lane() == 0) sum[row * uint64_t{p.parts} + block * (p.block / p.part) + part] = total;
  }
  if (lane() == 0) {
    scale[row * uint64_t{p.blocks} + block] = empty ? (finite ? 0.0f : not_a_number()) : magnitude / 127.0f;
  }
}

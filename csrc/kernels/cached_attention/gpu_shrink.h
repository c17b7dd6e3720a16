#pragma once

// Pages in float16 into pages of 4 and 3 bits, with the bits of the CPU (writing.h): a thread for each token
// and each step that is tried runs the sums in their order.

#include "kernels/cached_attention/gpu_pages.h"

namespace arrowmind::device::gpu {

constexpr uint32_t kShrinkThreads = 128, kShareCount = 6;
static_assert(16 * kShareCount <= kShrinkThreads);

// Shares of the largest magnitude that are tried as the end of the range.
ARROWMIND_DEVICE float share_of(uint32_t i) {
  return i == 0 ? 1.0f : i == 1 ? 0.92f : i == 2 ? 0.84f : i == 3 ? 0.76f : i == 4 ? 0.68f : 0.6f;
}

// The middle of a step nearest to x, in steps.
ARROWMIND_DEVICE float middle(float x, float inverse, float last) {
  const float clamped = least(most(x * inverse, 0.0f - last), last);
  return clamped - 0.5f + 12582912.0f - 12582912.0f + 0.5f;
}

ARROWMIND_DEVICE float inverse_step(float step) {
  return 1.0f / most(step, 1e-30f);
}

// Memory of the group.
struct ShrinkMemory {
  float* errors;   // [kShareCount * 16]
  uint32_t* bits;  // of steps, likewise
  uint32_t* best;  // [16]
};

// The steps of 16 tokens as binary16 has them, to memory.best and to `scales`, 8 words; of(token, d) is an
// element. For all threads.
template <class Of>
ARROWMIND_DEVICE void choose_steps(uint32_t head_dim, float last, const ShrinkMemory& memory,
                                   uint32_t* scales, const Of& of) {
  const uint32_t token = thread() % 16, share = thread() / 16;
  if (share < kShareCount) {
    float top = 0.0f;
    for (uint32_t d = 0; d < head_dim; ++d) top = most(top, float_of(bits_of(of(token, d)) & 0x7fffffffu));
    const uint32_t bits = half_bits(top * (share_of(share) / (last + 0.5f)));
    const float step = half_float(bits), inverse = inverse_step(step);
    float total = 0.0f;
    for (uint32_t d = 0; d < head_dim; ++d) {
      const float x = of(token, d), error = x - middle(x, inverse, last) * step;
      total = fused(error, error, total);
    }
    memory.errors[thread()] = total;
    memory.bits[thread()] = bits;
  }
  barrier();
  if (thread() < 16) {
    uint32_t best = thread();
    for (uint32_t i = best + 16; i < 16 * kShareCount; i += 16) {
      if (memory.errors[i] < memory.errors[best]) best = i;
    }
    memory.best[thread()] = memory.bits[best];
  }
  barrier();
  if (thread() < 8) scales[thread()] = memory.best[2 * thread()] | memory.best[2 * thread() + 1] << 16;
}

// Of 16 tokens of a head, from `slot` on.
template <class Page>
ARROWMIND_DEVICE void shrink_panel(const uint32_t* from, uint32_t* to, uint32_t slot,
                                   const CacheShrinkParameters& p, const ShrinkMemory& memory) {
  using Keys = typename Page::Keys;
  using Values = typename Page::Values;
  const uint32_t width = padded_width(p.head_dim);
  const auto code = [&](float x, uint32_t token, float last) {
    return static_cast<uint32_t>(
        static_cast<int32_t>(middle(x, inverse_step(half_float(memory.best[token])), last) + last));
  };

  const auto key = [&](uint32_t token, uint32_t d) {
    return d < p.head_dim ? Halves::at(from, slot / 16 * width + d, token) : 0.0f;
  };
  choose_steps(p.head_dim, Keys::kLast, memory, to + (p.small.key_scales + 2 * slot) / 4, key);
  for (uint32_t i = thread(); i < width / 2 * Keys::kWordsOfTwo; i += kShrinkThreads) {
    const uint32_t pair = i / Keys::kWordsOfTwo;
    const auto one = [&](uint32_t piece, uint32_t lane) {
      return code(key(lane, 2 * pair + piece), lane, Keys::kLast);
    };
    to[slot / 16 * (width / 2) * Keys::kWordsOfTwo + i] = Keys::word(i % Keys::kWordsOfTwo, one);
  }

  barrier();
  const auto value = [&](uint32_t token, uint32_t d) {
    return d < p.head_dim
               ? Halves::at(from + p.full.values / 4, d / 16 * p.page_tokens + slot + token, d % 16)
               : 0.0f;
  };
  choose_steps(p.head_dim, Values::kLast, memory, to + (p.small.value_scales + 2 * slot) / 4, value);
  constexpr uint32_t kPanel = 8 * Values::kWordsOfTwo;  // of 16 columns
  for (uint32_t i = thread(); i < width / 16 * kPanel; i += kShrinkThreads) {
    const uint32_t column = i / kPanel * 16, first = i % kPanel / Values::kWordsOfTwo * 2;
    const auto one = [&](uint32_t piece, uint32_t lane) {
      return code(value(first + piece, column + lane), first + piece, Values::kLast);
    };
    to[p.small.values / 4 + (column / 16 * p.page_tokens + slot) / 2 * Values::kWordsOfTwo + i % kPanel] =
        Values::word(i % Values::kWordsOfTwo, one);
  }
}

}  // namespace arrowmind::device::gpu

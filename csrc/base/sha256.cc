#include "base/sha256.h"

#include <algorithm>
#include <cstring>

#include "base/cpu.h"
#include "base/sha256_constants.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace arrowmind {

#if defined(__x86_64__)
void sha256_lanes_avx2(uint32_t* state, const uint8_t* const* data, int64_t blocks);
void sha256_lanes_avx512(uint32_t* state, const uint8_t* const* data, int64_t blocks);
#endif

namespace one_lane {

struct V {
  using Words = uint32_t;

  static void load_transposed(const uint8_t* const* data, int64_t offset, Words* w) {
    const uint8_t* bytes = data[0] + offset;
    for (int t = 0; t < 4; ++t, bytes += 4) {
      w[t] = static_cast<uint32_t>(bytes[0]) << 24 | static_cast<uint32_t>(bytes[1]) << 16 |
             static_cast<uint32_t>(bytes[2]) << 8 | bytes[3];
    }
  }
};

}  // namespace one_lane
}  // namespace arrowmind

#define ARROWMIND_ISA one_lane
#include "base/sha256_lanes.h"
#undef ARROWMIND_ISA

namespace arrowmind {
namespace {

constexpr int kMaxLanes = 16;
constexpr int64_t kBlock = 64;

void store_big_endian(uint8_t* data, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i, value >>= 8) data[i] = static_cast<uint8_t>(value);
}

void hash_scalar(uint32_t* state, const uint8_t* data, int64_t blocks) {
  one_lane::hash_lanes(state, &data, blocks);
}

#if defined(__x86_64__)

// The instructions keep the state as two registers, ABEF and CDGH, and do two rounds at a time.
__attribute__((target("sha,sse4.1"))) void hash_instructions(uint32_t* state, const uint8_t* data,
                                                             int64_t blocks) {
  const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
  const __m128i dcba = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state));
  const __m128i hgfe = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state + 4));
  const __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1b);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
  __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
  for (; blocks > 0; --blocks, data += kBlock) {
    const __m128i abef_before = abef;
    const __m128i cdgh_before = cdgh;
    __m128i w[4];
    for (int i = 0; i < 4; ++i) {
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data + 16 * i)), swap);
    }
    for (int t = 0; t < 16; ++t) {
      __m128i& now = w[t & 3];
      const __m128i k = _mm_load_si128(reinterpret_cast<const __m128i*>(kSha256Rounds + 4 * t));
      const __m128i input = _mm_add_epi32(now, k);
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, input);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(input, 0x0e));
      // Four words further on, in the place of those just used.
      const __m128i last = w[(t + 3) & 3];
      const __m128i seven = _mm_alignr_epi8(last, w[(t + 2) & 3], 4);
      now = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(now, w[(t + 1) & 3]), seven), last);
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state), _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

#elif defined(__aarch64__)

#if defined(__clang__)
#define ARROWMIND_SHA2 __attribute__((target("sha2")))
#else
#define ARROWMIND_SHA2 __attribute__((target("+crypto")))
#endif

ARROWMIND_SHA2 void hash_instructions(uint32_t* state, const uint8_t* data, int64_t blocks) {
  uint32x4_t abcd = vld1q_u32(state);
  uint32x4_t efgh = vld1q_u32(state + 4);
  for (; blocks > 0; --blocks, data += kBlock) {
    const uint32x4_t abcd_before = abcd;
    const uint32x4_t efgh_before = efgh;
    uint32x4_t w[4];
    for (int i = 0; i < 4; ++i) w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
    for (int t = 0; t < 16; ++t) {
      uint32x4_t& now = w[t & 3];
      const uint32x4_t input = vaddq_u32(now, vld1q_u32(kSha256Rounds + 4 * t));
      const uint32x4_t abcd_old = abcd;
      abcd = vsha256hq_u32(abcd, efgh, input);
      efgh = vsha256h2q_u32(efgh, abcd_old, input);
      // Four words further on, in the place of those just used.
      now = vsha256su1q_u32(vsha256su0q_u32(now, w[(t + 1) & 3]), w[(t + 2) & 3], w[(t + 3) & 3]);
    }
    abcd = vaddq_u32(abcd, abcd_before);
    efgh = vaddq_u32(efgh, efgh_before);
  }
  vst1q_u32(state, abcd);
  vst1q_u32(state + 4, efgh);
}

#else

void hash_instructions(uint32_t* state, const uint8_t* data, int64_t blocks) {
  hash_scalar(state, data, blocks);
}

#endif

void hash(uint32_t* state, const uint8_t* data, int64_t blocks) {
  sha256_instructions_enabled() ? hash_instructions(state, data, blocks) : hash_scalar(state, data, blocks);
}

struct Lanes {
  std::string_view name;
  int count;
  int worth;  // with fewer messages, one after the other is as fast
  Sha256LanesFn fn;
};

// SHA instructions do about 0.6 bytes per cycle, sixteen lanes 1, eight lanes 0.45, plain code 0.08.
Lanes choose_lanes() {
  const bool instructions = sha256_instructions_enabled();
#if defined(__x86_64__)
  if (isa_enabled(Isa::kAvx512)) return {"avx512", 16, instructions ? 12 : 2, &sha256_lanes_avx512};
  if (!instructions && isa_enabled(Isa::kAvx2)) return {"avx2", 8, 2, &sha256_lanes_avx2};
#endif
  return {instructions ? "sha" : "scalar", 1, 2, nullptr};
}

Digest encode(const uint32_t* state, int stride) {
  Digest digest;
  for (int j = 0; j < 8; ++j) store_big_endian(digest.data() + 4 * j, state[j * stride], 4);
  return digest;
}

// Up to `lanes.count` messages of prefix and `size` >= 64 bytes each; lanes without one repeat the last.
// Blocks start one byte before a multiple of 64 in the data, because of the prefix; the first and the last
// ones are put together aside.
void hash_side_by_side(const Lanes& lanes, uint8_t prefix, const uint8_t* const* data, int64_t size,
                       int64_t count, Digest* out) {
  alignas(64) uint32_t state[8 * kMaxLanes];
  alignas(64) uint8_t edge[kMaxLanes][2 * kBlock];
  const uint8_t* edges[kMaxLanes] = {};
  const uint8_t* inner[kMaxLanes] = {};
  const int64_t whole = (size + 1) / kBlock - 1;
  const int64_t done = (whole + 1) * kBlock - 1;
  const int64_t rest = size - done;
  const int64_t tail = rest + 9 <= kBlock ? kBlock : 2 * kBlock;
  const int n = lanes.count;
  for (int j = 0; j < 8; ++j) std::fill_n(state + j * n, n, Sha256::kStart[static_cast<size_t>(j)]);
  for (int i = 0; i < n; ++i) {
    const uint8_t* message = data[std::min<int64_t>(i, count - 1)];
    edge[i][0] = prefix;
    std::memcpy(edge[i] + 1, message, kBlock - 1);
    edges[i] = edge[i];
    inner[i] = message + kBlock - 1;
  }
  lanes.fn(state, edges, 1);
  lanes.fn(state, inner, whole);
  for (int i = 0; i < n; ++i) {
    std::memset(edge[i], 0, sizeof(edge[i]));
    std::memcpy(edge[i], inner[i] + whole * kBlock, static_cast<size_t>(rest));
    edge[i][rest] = 0x80;
    store_big_endian(edge[i] + tail - 8, static_cast<uint64_t>(size + 1) * 8, 8);
  }
  lanes.fn(state, edges, tail / kBlock);
  for (int64_t i = 0; i < count; ++i) out[i] = encode(state + i, n);
}

}  // namespace

void Sha256::update(const void* data, int64_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  const int64_t held = total_ % kBlock;
  total_ += size;
  if (held > 0) {
    const int64_t taken = std::min(size, kBlock - held);
    if (taken > 0) std::memcpy(partial_.data() + held, bytes, static_cast<size_t>(taken));
    bytes += taken, size -= taken;
    if (held + taken < kBlock) return;
    hash(state_.data(), partial_.data(), 1);
  }
  hash(state_.data(), bytes, size / kBlock);
  const int64_t rest = size % kBlock;
  if (rest > 0) std::memcpy(partial_.data(), bytes + size - rest, static_cast<size_t>(rest));
}

Digest Sha256::finish() {
  std::array<uint8_t, 2 * kBlock> end{};
  const int64_t held = total_ % kBlock;
  const int64_t size = (held + 9 <= kBlock ? kBlock : 2 * kBlock) - held;
  end[0] = 0x80;
  store_big_endian(end.data() + size - 8, static_cast<uint64_t>(total_) * 8, 8);
  update(end.data(), size);
  return encode(state_.data(), 1);
}

void sha256_each(uint8_t prefix, const uint8_t* const* data, int64_t size, int64_t count, Digest* out) {
  const Lanes lanes = choose_lanes();
  const bool side_by_side = lanes.fn != nullptr && size >= kBlock;
  for (int64_t done = 0; done < count;) {
    const int64_t group = std::min<int64_t>(count - done, side_by_side ? lanes.count : 1);
    if (group >= lanes.worth) {
      hash_side_by_side(lanes, prefix, data + done, size, group, out + done);
    } else {
      for (int64_t i = done; i < done + group; ++i) {
        Sha256 sha;
        sha.update(&prefix, 1);
        sha.update(data[i], size);
        out[i] = sha.finish();
      }
    }
    done += group;
  }
}

std::string_view sha256_implementation() {
  return choose_lanes().name;
}

}  // namespace arrowmind

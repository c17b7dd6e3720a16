#include "base/sha256.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/cpu.h"
#include "base/sha256_constants.h"
#include "base/sha256_instructions.h"

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

void hash(uint32_t* state, const uint8_t* data, int64_t blocks) {
  sha256_instructions_enabled() ? sha256_instructions(state, &data, blocks)
                                : hash_scalar(state, data, blocks);
}

struct Lanes {
  std::string_view name;
  int count;
  int worth;  // with fewer messages, what comes behind it is as fast
  Sha256LanesFn fn;
};

// What hashes many messages here, the best first. SHA instructions do about 0.6 bytes per cycle, for two
// messages 1, sixteen lanes 1, eight lanes 0.45, plain code 0.08.
std::vector<Lanes> choose_lanes() {
  std::vector<Lanes> found;
  const bool instructions = sha256_instructions_enabled();
#if defined(__x86_64__)
  if (isa_enabled(Isa::kAvx512)) found.push_back({"avx512", 16, instructions ? 15 : 2, &sha256_lanes_avx512});
  if (!instructions && isa_enabled(Isa::kAvx2)) found.push_back({"avx2", 8, 2, &sha256_lanes_avx2});
#endif
  if (instructions) found.push_back({"sha", 2, 2, &sha256_instructions_pair});
  found.push_back({"scalar", 1, 1, nullptr});
  return found;
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
  const std::vector<Lanes> choices = choose_lanes();
  for (int64_t done = 0; done < count;) {
    const int64_t left = size >= kBlock ? count - done : 1;
    const auto is_worth = [left](const Lanes& lanes) { return left >= lanes.worth; };
    const Lanes& lanes = *std::find_if(choices.begin(), choices.end(), is_worth);
    const int64_t group = std::min<int64_t>(left, lanes.count);
    if (lanes.fn != nullptr) {
      hash_side_by_side(lanes, prefix, data + done, size, group, out + done);
    } else {
      Sha256 sha;
      sha.update(&prefix, 1);
      sha.update(data[done], size);
      out[done] = sha.finish();
    }
    done += group;
  }
}

std::string_view sha256_implementation() {
  return choose_lanes().front().name;
}

}  // namespace arrowmind

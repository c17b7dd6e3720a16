// Decodes blocks of any bytes, encodes floats of any bits. The first byte of an input chooses the type;
// blocks lie at every alignment. Buffers are of exactly the size needed, so that the sanitizer sees one byte
// too many.

#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "as_file.h"
#include "interchange/gguf_blocks.h"

namespace {

namespace interchange = arrowmind::interchange;
using arrowmind::fuzz::require;
using interchange::GgmlTypeInfo;

template <typename T>
std::unique_ptr<T[]> exactly(int64_t count) {
  return std::unique_ptr<T[]>(new T[static_cast<size_t>(count)]);
}

void decode(const GgmlTypeInfo& type, const uint8_t* data, int64_t size) {
  const int64_t blocks = size / type.block_bytes;
  const auto values = exactly<float>(blocks * type.block_elements);
  require(interchange::decode_blocks(type.type, data, blocks, values.get()) == type.can_decode);
  const int64_t scale_bytes = interchange::grid_scale_bytes(type.type);
  if (scale_bytes == 0) return;
  const auto codes = exactly<uint8_t>(blocks * type.block_elements);
  const auto scales = exactly<uint8_t>(blocks * scale_bytes);
  const auto joined = exactly<uint8_t>(blocks * type.block_bytes);
  require(interchange::split_blocks(type.type, data, blocks, codes.get(), scales.get()));
  require(interchange::join_blocks(type.type, codes.get(), scales.get(), blocks, joined.get()));
  require(std::memcmp(joined.get(), data, static_cast<size_t>(blocks * type.block_bytes)) == 0);
}

// What was encoded decodes to values near by.
void encode(const GgmlTypeInfo& type, const uint8_t* data, int64_t size) {
  const int64_t blocks = size / (4 * type.block_elements);
  const int64_t elements = blocks * type.block_elements;
  const auto values = exactly<float>(elements);
  const auto encoded = exactly<uint8_t>(blocks * type.block_bytes);
  std::memcpy(values.get(), data, static_cast<size_t>(elements) * sizeof(float));
  if (!interchange::encode_blocks(type.type, values.get(), blocks, encoded.get())) return;
  const auto back = exactly<float>(elements);
  require(interchange::decode_blocks(type.type, encoded.get(), blocks, back.get()));
  for (int64_t i = 0; i < elements; ++i) {
    float largest = 0;
    const int64_t begin = i / type.block_elements * type.block_elements;
    for (int64_t j = begin; j < begin + type.block_elements; ++j) {
      largest = std::max(largest, std::fabs(values[j]));
    }
    const bool is_float = type.type == interchange::GgmlType::kF32;
    const float bound = is_float ? 0.0f : largest / 7.9f + 0x1p-23f;
    require(is_float ? std::bit_cast<uint32_t>(back[i]) == std::bit_cast<uint32_t>(values[i])
                     : std::fabs(back[i] - values[i]) <= bound);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const GgmlTypeInfo* type = interchange::find_ggml_type(uint32_t{data[0]} & 63u);
  if (type == nullptr) return 0;
  // A copy of exactly these bytes, one byte off every alignment.
  const auto bytes = exactly<uint8_t>(static_cast<int64_t>(size));
  std::memcpy(bytes.get(), data, size);
  decode(*type, bytes.get() + 1, static_cast<int64_t>(size) - 1);
  encode(*type, bytes.get() + 1, static_cast<int64_t>(size) - 1);
  return 0;
}

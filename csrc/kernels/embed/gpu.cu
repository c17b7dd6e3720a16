// A thread looks up one column of four rows.
#include "device/gpu/columns.h"
#include "device/gpu/grids.h"

using namespace arrowmind::device;
using namespace arrowmind::device::gpu;

namespace {

struct Table {
  const uint8_t* data;
  const void* scales;
  const void* zeros;
  const float* outer;
};

// Of four-bit floats, twice as large.
ARROWMIND_DEVICE float fp4_level(uint32_t code) {
  const uint32_t magnitude = code & 7;
  const uint32_t twice = magnitude < 4 ? magnitude : (2 | (magnitude & 1)) << ((magnitude >> 1) - 1);
  const auto value = static_cast<float>(twice);
  return (code & 8) != 0 ? -value : value;
}

ARROWMIND_DEVICE float grid_value(const Table& table, const EmbedParameters& p, uint32_t row, uint32_t k) {
  const uint8_t* codes = table.data + row * uint64_t{p.row_bytes};
  const uint64_t index = row * uint64_t{p.groups} + (p.group == 0 ? 0 : k / p.group);
  const bool has_zeros = (p.flags & kHasZeros) != 0;
  float level = 0.0f, zero_step = 1.0f, unit = 1.0f;
  if (p.element == kEmbedI8Grid) {
    level = static_cast<float>(static_cast<int8_t>(codes[k]));
  } else if (p.element == kEmbedI4Grid) {
    level = static_cast<float>(codes[k / 2] >> 4 * (k % 2) & 15) - (has_zeros ? 0.0f : 8.0f);
    zero_step = 1.0f / 16;
  } else if (p.element == kEmbedI2Grid) {
    level = static_cast<float>(codes[k / 4] >> 2 * (k % 4) & 3) - (has_zeros ? 0.0f : 1.5f);
    zero_step = 1.0f / 64;
  } else {
    level = fp4_level(codes[k / 2] >> 4 * (k % 2) & 15u);
    unit = 0.5f;
  }
  if (has_zeros) level -= static_cast<float>(static_cast<const uint8_t*>(table.zeros)[index]) * zero_step;
  float scale = stored_scale(p.scale_type, table.scales, index);
  if ((p.flags & kHasOuter) != 0) scale = scale * table.outer[row];
  return level * (scale * unit);
}

ARROWMIND_DEVICE float table_value(const Table& table, const EmbedParameters& p, uint32_t row, uint32_t k) {
  const uint8_t* data = table.data + row * uint64_t{p.row_bytes};
  switch (p.element) {
    case kEmbedF32:
      return reinterpret_cast<const float*>(data)[k];
    case kEmbedF16:
      return half_float(reinterpret_cast<const uint16_t*>(data)[k]);
    case kEmbedBf16:
      return bfloat(reinterpret_cast<const uint16_t*>(data)[k]);
    case kEmbedI8: {
      const float zero = (p.flags & kHasZeros) != 0 ? static_cast<const float*>(table.zeros)[row] : 0.0f;
      const float scale = static_cast<const float*>(table.scales)[row];
      return (static_cast<float>(static_cast<int8_t>(data[k])) - zero) * scale;
    }
    default:
      return grid_value(table, p, row, k);
  }
}

}  // namespace

ARROWMIND_KERNEL(kColumnThreads, embed, const int32_t* index, const uint8_t* data, const void* scales,
                 const void* zeros, const float* outer, float* out, EmbedParameters p) {
  const Table table = {data, scales, zeros, outer};
  each_row(p.width, p.rows, [&](uint32_t row, uint32_t k) {
    const uint32_t from = p.index == kIndexFirst ? 0u : static_cast<uint32_t>(index[row]);
    const float value = table_value(table, p, from, k);
    float* to = out + row * uint64_t{p.out_stride} + k;
    *to = (p.flags & kAccumulate) != 0 ? *to + value : value;
  });
}

// Row-major weights -> panels of 16 outputs, and back.
//
// Both walk the packed side once, 16 runs at a time, which are a line of cache of each of 16 rows of the
// other side: a step per element, computed from its place, takes ten times as long, and tied heads are packed
// whenever a model opens.

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "kernels/qmatmul/layout.h"
#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::qmatmul {

namespace {

// Runs of a row that are moved before the next row: of 4 bytes a line of cache.
constexpr int64_t kRunsAtOnce = 16;

// Calls move(panel bytes, row-major bytes) for each run of elements that lie side by side in both, of `unit`
// bytes where k allows and of what is left of a row at its end.
template <size_t unit, typename Packed, typename Plain, typename Move>
void each_run(int64_t n, int64_t k, int64_t element, Packed* packed, Plain* plain, const Move& move) {
  const int64_t row_bytes = k * element, size = static_cast<int64_t>(unit);
  const int64_t whole = row_bytes / size, left = row_bytes % size;
  const int64_t panel_bytes = (whole + (left > 0)) * size * kPanel;
  for (int64_t first = 0; first < n; first += kPanel) {
    Packed* panel = packed + first / kPanel * panel_bytes;
    const int64_t rows = std::min(kPanel, n - first);
    for (int64_t begin = 0; begin < whole; begin += kRunsAtOnce) {
      const int64_t end = std::min(begin + kRunsAtOnce, whole);
      for (int64_t row = 0; row < rows; ++row) {
        Plain* line = plain + (first + row) * row_bytes;
        for (int64_t i = begin; i < end; ++i) move(panel + (i * kPanel + row) * size, line + i * size, unit);
      }
    }
    for (int64_t row = 0; left > 0 && row < rows; ++row) {
      move(panel + (whole * kPanel + row) * size, plain + (first + row) * row_bytes + whole * size,
           static_cast<size_t>(left));
    }
  }
}

template <typename Packed, typename Plain, typename Move>
void each_run_of(Weight weight, int64_t n, int64_t k, Packed* packed, Plain* plain, const Move& move) {
  const int64_t element = element_bytes(weight);
  if (element * k_group(weight) == 4) {
    each_run<4>(n, k, element, packed, plain, move);
  } else {
    each_run<2>(n, k, element, packed, plain, move);
  }
}

// Calls move(packed bytes, shift, mask, codes, count) for each four of k of each row of a grid: `count`
// codes, four but at the end of a row, whose bits start at `shift` of as many bytes.
template <typename Packed, typename Plain, typename Move>
void each_four(Weight weight, int64_t n, int64_t k, int64_t group, Packed* packed, Plain* codes,
               const Move& move) {
  const int64_t panel_bytes = grid_rows(weight, k, group) * kPanel * kQuad;
  const int bits = static_cast<int>(code_bits(weight));
  const int64_t planes = 8 / bits;
  const uint32_t mask = ((1u << bits) - 1) * 0x01010101u;
  for (int64_t first = 0; first < n; first += kPanel) {
    Packed* panel = packed + first / kPanel * panel_bytes;
    const int64_t rows = std::min(kPanel, n - first);
    for (int64_t four = 0; four * kQuad < k; ++four) {
      const int shift = static_cast<int>(four % planes) * bits;
      const size_t count = static_cast<size_t>(std::min(kQuad, k - four * kQuad));
      Packed* line = panel + four / planes * kPanel * kQuad;
      for (int64_t row = 0; row < rows; ++row) {
        move(line + row * kQuad, shift, mask, codes + (first + row) * k + four * kQuad, count);
      }
    }
  }
}

// Codes of 3 bits: calls move(three lines of the panel, codes, count) for each eight fours of k of each row,
// `count` codes, 32 but at the end of a row.
template <typename Packed, typename Plain, typename Move>
void each_three_lines(int64_t n, int64_t k, int64_t group, Packed* packed, Plain* codes, const Move& move) {
  constexpr int64_t kRun = 8 * kQuad, kRunBytes = 3 * kPanel * kQuad;
  const int64_t panel_bytes = grid_rows(Weight::kT3Grid, k, group) * kPanel * kQuad;
  for (int64_t first = 0; first < n; first += kPanel) {
    const int64_t rows = std::min(kPanel, n - first);
    for (int64_t at = 0; at < k; at += kRun) {
      Packed* lines = packed + first / kPanel * panel_bytes + at / kRun * kRunBytes;
      for (int64_t row = 0; row < rows; ++row) {
        move(lines + row * kQuad, codes + (first + row) * k + at, std::min(kRun, k - at));
      }
    }
  }
}

// Bytes of the three lines at a row: those of one k in four are a little-endian number of 24 bits.
void pack_eights(uint8_t* lines, const uint8_t* codes, int64_t count) {
  uint32_t streams[kQuad] = {};
  for (int64_t i = 0; i < count; ++i) streams[i % kQuad] |= uint32_t{codes[i] & 7u} << 3 * (i / kQuad);
  for (int64_t line = 0; line < 3; ++line) {
    for (int64_t j = 0; j < kQuad; ++j) {
      lines[line * kPanel * kQuad + j] = static_cast<uint8_t>(streams[j] >> 8 * line);
    }
  }
}

void unpack_eights(const uint8_t* lines, uint8_t* codes, int64_t count) {
  uint32_t streams[kQuad] = {};
  for (int64_t line = 0; line < 3; ++line) {
    for (int64_t j = 0; j < kQuad; ++j) {
      streams[j] |= uint32_t{lines[line * kPanel * kQuad + j]} << 8 * line;
    }
  }
  for (int64_t i = 0; i < count; ++i) codes[i] = streams[i % kQuad] >> 3 * (i / kQuad) & 7;
}

uint32_t word_of(const void* bytes, size_t count) {
  uint32_t word = 0;
  std::memcpy(&word, bytes, count);
  return word;
}

}  // namespace

void pack(Weight weight, int64_t n, int64_t k, const void* source, void* packed, int64_t group) {
  const int64_t bytes = packed_bytes(weight, n, k, group);
  // What stands for no element is zero; codes of a grid share bytes besides.
  if (is_grid(weight) || bytes != n * k * element_bytes(weight)) {
    std::memset(packed, 0, static_cast<size_t>(bytes));
  }
  if (!is_grid(weight)) {
    each_run_of(weight, n, k, static_cast<char*>(packed), static_cast<const char*>(source),
                [](char* to, const char* from, size_t size) { std::memcpy(to, from, size); });
    return;
  }
  if (weight == Weight::kT3Grid) {
    each_three_lines(n, k, group, static_cast<uint8_t*>(packed), static_cast<const uint8_t*>(source),
                     pack_eights);
    return;
  }
  each_four(weight, n, k, group, static_cast<uint8_t*>(packed), static_cast<const uint8_t*>(source),
            [](uint8_t* to, int shift, uint32_t mask, const uint8_t* codes, size_t count) {
              const uint32_t word = word_of(to, 4) | (word_of(codes, count) & mask) << shift;
              std::memcpy(to, &word, 4);
            });
}

void unpack(Weight weight, int64_t n, int64_t k, const void* packed, void* destination, int64_t group) {
  if (!is_grid(weight)) {
    each_run_of(weight, n, k, static_cast<const char*>(packed), static_cast<char*>(destination),
                [](const char* from, char* to, size_t size) { std::memcpy(to, from, size); });
    return;
  }
  if (weight == Weight::kT3Grid) {
    each_three_lines(n, k, group, static_cast<const uint8_t*>(packed), static_cast<uint8_t*>(destination),
                     unpack_eights);
    return;
  }
  each_four(weight, n, k, group, static_cast<const uint8_t*>(packed), static_cast<uint8_t*>(destination),
            [](const uint8_t* from, int shift, uint32_t mask, uint8_t* codes, size_t count) {
              const uint32_t word = word_of(from, 4) >> shift & mask;
              std::memcpy(codes, &word, count);
            });
}

}  // namespace arrowmind::qmatmul

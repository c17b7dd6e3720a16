#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/grid/values.h"

namespace arrowmind::ARROWMIND_ISA {

// Rows of 64 codes without any instruction set: what the grid forms over tiles unpack with.
struct ByteRows {
  struct Row {
    uint8_t bytes[64];
  };
  static Row load_row(const char* p) {
    Row row;
    std::memcpy(row.bytes, p, sizeof(row.bytes));
    return row;
  }
  static void store_row(char* p, const Row& row) { std::memcpy(p, row.bytes, sizeof(row.bytes)); }
  static Row row_and(Row row, int mask) {
    for (uint8_t& byte : row.bytes) byte = static_cast<uint8_t>(byte & mask);
    return row;
  }
  template <int count>
  static Row row_right(Row row) {
    for (uint8_t& byte : row.bytes) byte = static_cast<uint8_t>(byte >> count);
    return row;
  }
  template <int count>
  static Row row_left(Row row) {
    for (uint8_t& byte : row.bytes) byte = static_cast<uint8_t>(byte << count);
    return row;
  }
  static Row row_or(Row a, const Row& b) {
    for (int i = 0; i < 64; ++i) a.bytes[i] |= b.bytes[i];
    return a;
  }
  static Row row_add(Row a, const Row& b) {
    for (int i = 0; i < 64; ++i) a.bytes[i] = static_cast<uint8_t>(a.bytes[i] + b.bytes[i]);
    return a;
  }
  static Row zero_row() { return {}; }
  static Row row_table(const uint8_t (&table)[16], Row row) {
    for (uint8_t& byte : row.bytes) byte = table[byte & 15];
    return row;
  }
};

}  // namespace arrowmind::ARROWMIND_ISA

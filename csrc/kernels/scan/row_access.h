#pragma once

#include <cstdint>

#include "kernels/scan/scan.h"

// In a namespace per ISA: an inline function must never be shared with code compiled for a narrower one.
namespace arrowmind::scan::ARROWMIND_ISA {

constexpr int64_t kCacheLine = 64;

inline const uint8_t* row_at(const Params& p, int64_t i) {
  return p.codes + (p.rows != nullptr ? static_cast<int64_t>(p.rows[i]) : p.first + i) * p.row_bytes;
}

// Bytes that will be needed soon. The hardware prefetcher stops at every 4 KiB page and cannot guess listed
// rows; asking ahead takes a scan from 70 % of the read bandwidth to all of it (Cascade Lake, one thread).
class Prefetcher {
 public:
  explicit Prefetcher(const Params& p) : p_(p) {}

  // Called once before row i is read; the row after next of a list is far enough for 100 ns of latency.
  void before_row(int64_t i) const {
    constexpr int64_t kRowsAhead = 3;
    if (p_.rows == nullptr || i + kRowsAhead >= p_.count) return;
    const uint8_t* row = row_at(p_, i + kRowsAhead);
    for (int64_t k = 0; k < p_.row_bytes; k += kCacheLine) __builtin_prefetch(row + k);
  }

  // Called for each cache line of a row.
  void line(const uint8_t* bytes) const {
    constexpr int64_t kBytesAhead = 4096;
    if (p_.rows == nullptr) __builtin_prefetch(bytes + kBytesAhead);
  }

 private:
  const Params& p_;
};

}  // namespace arrowmind::scan::ARROWMIND_ISA

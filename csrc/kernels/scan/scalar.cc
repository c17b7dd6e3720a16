// The oracle: the sums of scan.h, one element at a time. Never vectorised (cmake/isa.cmake).

#include "kernels/scan/row_access.h"
#include "kernels/scan/scan.h"

namespace arrowmind::scan {

using namespace arrowmind::scan::ARROWMIND_ISA;

void scan_bits_scalar(const Params& p) {
  const uint8_t* query = static_cast<const uint8_t*>(p.query);
  for (int64_t i = 0; i < p.count; ++i) {
    const uint8_t* row = row_at(p, i);
    int32_t distance = 0;
    for (int64_t k = 0; k < p.row_bytes; ++k) {
      distance += __builtin_popcount(static_cast<unsigned>(row[k] ^ query[k]));
    }
    p.out[i] = distance;
  }
}

void scan_i8_scalar(const Params& p) {
  const int16_t* query = static_cast<const int16_t*>(p.query);
  for (int64_t i = 0; i < p.count; ++i) {
    const int8_t* row = reinterpret_cast<const int8_t*>(row_at(p, i));
    int32_t dot = 0;
    for (int64_t k = 0; k < p.row_bytes; ++k) dot += row[k] * query[k];
    p.out[i] = dot;
  }
}

}  // namespace arrowmind::scan

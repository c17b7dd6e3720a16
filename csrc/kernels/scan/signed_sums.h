#pragma once

#include <cstdint>

namespace arrowmind::scan {

// out[i] = sum of weights[k] where bit k of code i is set (lowest bit of a byte first), minus the sum of
// those where it is not. codes: [count, (dim + 7) / 8]; weights: [dim]; out: [count].
//
// Of a vector whose rotated signs are the code, and a rotated query as weights, this is what can be told of
// their dot product. Sums of each four weights are looked up, so a row costs a quarter of its bits; the order
// of the sums depends on `dim` alone.
void signed_sums(const uint8_t* codes, int64_t count, const float* weights, int64_t dim, float* out);

}  // namespace arrowmind::scan

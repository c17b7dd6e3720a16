#pragma once

#include <cstdint>

namespace arrowmind::rope {

// Cosine and sine of x >= 0 below 2^31 within 1e-15 of it, by our own reduction and series: the same bits on
// every machine, which a C library does not promise.
struct Turn {
  double cosine, sine;
};

Turn turn(double x);

// Cosines and sines of one position, each times `factor` and rounded to float32. Angle i is
// float(position) * frequencies[i], rounded to float32 as the models' reference implementation does it, so
// that far positions turn alike. From `exact_from` on, where no model reads, the product is not rounded: the
// distance between neighbours a million tokens on would be lost.
void fill_turns(int32_t position, const float* frequencies, int64_t count, float factor, float* cosines,
                float* sines, int64_t exact_from = INT64_MAX);

// Cosines and sines of a way of `distance` positions, backwards where it is negative; not rounded either.
void fill_way(int64_t distance, const float* frequencies, int64_t count, float* cosines, float* sines);

}  // namespace arrowmind::rope

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
// that far positions turn alike.
void fill_turns(int32_t position, const float* frequencies, int64_t count, float factor, float* cosines,
                float* sines);

}  // namespace arrowmind::rope

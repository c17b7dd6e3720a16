#pragma once

#include <cstdint>

namespace arrowmind::scan {

// One-bit codes keep the sign of each coordinate, which says most when all coordinates carry equal variance.
// A fixed random rotation makes them do so whatever the encoder. Round r = 0..3:
//   flip the signs where bit k of the stream of splitmix64(seed, r) is set, then apply a Hadamard transform
//   of size P, the largest power of two <= dim, times 1 / sqrt(P), to the first P coordinates (r even) or to
//   the last P (r odd).
// O(dim log dim), no matrix to store, and the same bits on every machine: IEEE adds and one multiply per
// round.
void rotate(const float* vector, int64_t dim, uint64_t seed, float* rotated);

// Bit k of the code (lowest bit of a byte first) is set where coordinate k of the rotated vector is above
// zero; the unused bits of the last byte are zero. codes: [count, (dim + 7) / 8].
void sign_codes(const float* vectors, int64_t count, int64_t dim, uint64_t seed, uint8_t* codes);

}  // namespace arrowmind::scan

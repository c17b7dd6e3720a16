#include "kernels/rope/turns.h"

#include <cmath>

namespace arrowmind::rope {
namespace {

constexpr double kHalfPi = 0x1.921fb54442d18p+0;
constexpr double kHalfPiRest = 0x1.1a62633145c07p-54;
constexpr double kPerHalfPi = 0x1.45f306dc9c883p-1;

// Taylor series on [-pi/4, pi/4]; the first terms left out are below 5e-17.
double sine_series(double r) {
  const double z = r * r;
  double p = -1.0 / 1307674368000.0;
  p = std::fma(p, z, 1.0 / 6227020800.0);
  p = std::fma(p, z, -1.0 / 39916800.0);
  p = std::fma(p, z, 1.0 / 362880.0);
  p = std::fma(p, z, -1.0 / 5040.0);
  p = std::fma(p, z, 1.0 / 120.0);
  p = std::fma(p, z, -1.0 / 6.0);
  return std::fma(p * z, r, r);
}

double cosine_series(double r) {
  const double z = r * r;
  double p = 1.0 / 20922789888000.0;
  p = std::fma(p, z, -1.0 / 87178291200.0);
  p = std::fma(p, z, 1.0 / 479001600.0);
  p = std::fma(p, z, -1.0 / 3628800.0);
  p = std::fma(p, z, 1.0 / 40320.0);
  p = std::fma(p, z, -1.0 / 720.0);
  p = std::fma(p, z, 1.0 / 24.0);
  p = std::fma(p, z, -0.5);
  return std::fma(p, z, 1.0);
}

}  // namespace

Turn turn(double x) {
  const double quarters = std::floor(std::fma(x, kPerHalfPi, 0.5));
  const double r = std::fma(-quarters, kHalfPiRest, std::fma(-quarters, kHalfPi, x));
  const double s = sine_series(r);
  const double c = cosine_series(r);
  switch (static_cast<int64_t>(quarters) % 4) {
    case 0:
      return {c, s};
    case 1:
      return {-s, c};
    case 2:
      return {-c, -s};
    default:
      return {s, -c};
  }
}

void fill_turns(int32_t position, const float* frequencies, int64_t count, float factor, float* cosines,
                float* sines, int64_t exact_from) {
  for (int64_t i = 0; i < count; ++i) {
    const float rounded = static_cast<float>(position) * frequencies[i];
    const double exact = static_cast<double>(position) * static_cast<double>(frequencies[i]);
    const Turn found = turn(position < exact_from ? static_cast<double>(rounded) : exact);
    cosines[i] = static_cast<float>(found.cosine) * factor;
    sines[i] = static_cast<float>(found.sine) * factor;
  }
}

void fill_way(int64_t distance, const float* frequencies, int64_t count, float* cosines, float* sines) {
  const double size = std::abs(static_cast<double>(distance));
  for (int64_t i = 0; i < count; ++i) {
    const Turn found = turn(size * static_cast<double>(frequencies[i]));
    cosines[i] = static_cast<float>(found.cosine);
    sines[i] = static_cast<float>(distance < 0 ? -found.sine : found.sine);
  }
}

}  // namespace arrowmind::rope

#pragma once

#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>

namespace arrowmind::isa_test {

// Steele, Lea and Flood's SplitMix64: the same numbers on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t word() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  // A whole number of [low, high].
  int64_t whole(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(word() % static_cast<uint64_t>(high - low + 1));
  }
  bool one_in(int64_t n) { return whole(1, n) == 1; }
  // In (-8, 8), magnitudes spread over ten powers of two.
  float real() {
    const float unit = static_cast<float>(whole(-0xffffff, 0xffffff)) * 0x1p-24f;
    return std::ldexp(unit, static_cast<int>(whole(-6, 3)));
  }
  // A real number, now and then one of those that arithmetic treats in a way of their own.
  float rough() {
    static constexpr float kSpecial[] = {0.0f,
                                         -0.0f,
                                         0x1p-149f,
                                         -0x1p-130f,
                                         0x1p-126f,
                                         3.4e38f,
                                         -3.4e38f,
                                         1e30f,
                                         std::numeric_limits<float>::infinity(),
                                         -std::numeric_limits<float>::infinity(),
                                         std::numeric_limits<float>::quiet_NaN()};
    if (!one_in(24)) return real();
    return kSpecial[whole(0, static_cast<int64_t>(std::size(kSpecial)) - 1)];
  }
  // A finite binary16.
  uint16_t half() {
    const uint64_t sign = whole(0, 1) == 1 ? 0x8000u : 0;
    return static_cast<uint16_t>(sign | static_cast<uint64_t>(whole(0, 0x4fff)));  // up to 31.98
  }

 private:
  uint64_t state_;
};

}  // namespace arrowmind::isa_test

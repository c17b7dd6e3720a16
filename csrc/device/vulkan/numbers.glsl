// What the shaders of all operators have in common: flags (device/kernels.h), numbers out of words, functions.
#extension GL_EXT_control_flow_attributes : require

const uint kHasBias = 1u << 0;
const uint kHasResidual = 1u << 1;
const uint kHasZeros = 1u << 2;
const uint kHasOuter = 1u << 3;
const uint kHasAZero = 1u << 4;
const uint kAccumulate = 1u << 5;
const uint kHasMultiplier = 1u << 6;
const uint kHasBeta = 1u << 7;
const uint kCausal = 1u << 8;
const uint kNormalise = 1u << 9;
const uint kGated = 1u << 10;
const uint kInterleaved = 1u << 11;
const uint kIsGelu = 1u << 12;

const uint kScaleF32 = 0;
const uint kScaleF16 = 1;
const uint kScaleU8 = 2;
const uint kScaleE8M0 = 3;
const uint kScaleE4M3 = 4;

#define kNan uintBitsToFloat(0x7fc00000u)

// By its bits: drivers may take it that no number is a NaN.
bool is_finite(float x) {
  return (floatBitsToUint(x) & 0x7fffffffu) < 0x7f800000u;
}
bool is_nan(float x) {
  return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u;
}

float half_of(uint word, uint index) {
  const vec2 both = unpackHalf2x16(word);
  return (index & 1u) == 0u ? both.x : both.y;
}
float bfloat_of(uint word, uint index) {
  return uintBitsToFloat((index & 1u) == 0u ? word << 16 : word & 0xffff0000u);
}
uint byte_of(uint word, uint index) {
  return (word >> (8u * (index & 3u))) & 255u;
}
// The four signed bytes of a word.
ivec4 signed_bytes(uint word) {
  return ivec4(int(word << 24), int(word << 16), int(word << 8), int(word)) >> 24;
}

// OCP E8M0 and E4M3 without sign. No denormals on the way: drivers may make zeros of them.
float e8m0_of(uint code) {
  return uintBitsToFloat(code << 23);
}
float e4m3_of(uint code) {
  return code < 8u ? float(code) * 0.001953125 : uintBitsToFloat((code << 20) + (120u << 23));
}

// A scale of one byte, without its outer scale.
float byte_scale(uint code, uint type) {
  return type == kScaleU8 ? float(code) : type == kScaleE8M0 ? e8m0_of(code) : e4m3_of(code);
}

// As of kernels/simd/f32x16.h: drivers' own are only so exact.
float exp_of(float value) {
  if (is_nan(value)) return value;
  precise float x = clamp(value, -87.3, 88.3);
  precise float shifted = fma(x, 1.44269504088896341, 12582912.0);
  precise float n = shifted - 12582912.0;
  precise float r = fma(n, -0.693145751953125, x);
  r = fma(n, -1.42860682030941723212e-6, r);
  float q = 0.00138461357;
  q = fma(q, r, 0.00837309472);
  q = fma(q, r, 0.0416679718);
  q = fma(q, r, 0.166664734);
  q = fma(q, r, 0.49999994);
  q = fma(q, r, 1.0);
  q = fma(q, r, 1.0);
  return q * uintBitsToFloat((floatBitsToUint(shifted) << 23) + 0x3f800000u);
}

float gelu_of(float x) {
  if (is_nan(x)) return x;
  const float low = max(-5.1, x);
  const float u = min(5.1, low);
  const float z = u * u;
  float top = -1.57233657e-08;
  top = fma(top, z, 5.11408143e-06);
  top = fma(top, z, 0.000387419859);
  top = fma(top, z, 0.00590981869);
  top = fma(top, z, 0.0579144135);
  top = fma(top, z, 0.398941338);
  float below = 0.00013043599;
  below = fma(below, z, 0.0031043936);
  below = fma(below, z, 0.0418029651);
  below = fma(below, z, 0.311825186);
  below = fma(below, z, 1.0);
  return low * fma(u, top / below, 0.5);
}

float soft_cap(float x, float cap) {
  return cap * (1.0 - 2.0 / (exp_of(x * 2.0 / cap) + 1.0));
}

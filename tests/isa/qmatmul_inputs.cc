#include "qmatmul_inputs.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <vector>

#include "base/checked.h"
#include "random.h"

namespace arrowmind::isa_test {

using qmatmul::Activation;
using qmatmul::block_of;
using qmatmul::FloatType;
using qmatmul::kPanel;
using qmatmul::kQuad;
using qmatmul::part_of;
using qmatmul::Scale;
using qmatmul::Weight;

std::string MatmulCase::text() const {
  std::string text = cat(m, " x ", n, " x ", k, ", gap ", gap, ", group ", group, ", scales ",
                         static_cast<int>(scale_type), ", floats ", static_cast<int>(a_type));
  if (n_end != 0) text += cat(", outputs ", n_begin, " to ", n_end);
  for (const auto& [set, name] : {std::pair{a_zero, "a_zero"},
                                  {w_zero, "w_zero"},
                                  {!scaled, "unscaled"},
                                  {bias, "bias"},
                                  {residual, "residual"},
                                  {gelu, "gelu"},
                                  {natural, "no negative codes"},
                                  {extreme, "extreme"},
                                  {rough, "special values"}}) {
    if (set) text += cat(", ", name);
  }
  return text;
}

namespace {

// Codes of activations: rows of k codes, padded with zeros to a multiple of `unit`.
template <typename Code>
Buffer<Code> activation_codes(Random& random, const MatmulCase& one, int64_t unit, int64_t low,
                              int64_t high) {
  const int64_t padded = round_up(one.k, unit);
  const int64_t stride = padded + kQuad * one.gap;
  Buffer<Code> codes((one.m - 1) * stride + padded);
  for (int64_t m = 0; m < one.m; ++m) {
    for (int64_t k = 0; k < one.k; ++k) {
      const bool lowest = one.extreme && (m % 2 == 0 || random.one_in(2));
      const int64_t code = lowest ? low : one.extreme ? high : random.whole(low, high);
      codes[m * stride + k] = static_cast<Code>(one.natural && code < 0 ? -1 - code : code);
    }
  }
  return codes;
}

template <typename Code>
void set_codes(Random& random, const MatmulCase& one, const Buffer<Code>& codes, MatmulInputs& in) {
  qmatmul::Params& p = in.params;
  p.a = codes.data();
  in.a_scale = filled<float>(one.m, [&] { return 0.001f + 0.01f * random.real(); });
  p.a_scale = in.a_scale.data();
  in.a_zero = filled<int32_t>(one.m, [&] { return one.a_zero ? random.whole(-128, 127) : 0; });
  if (one.a_zero) p.a_zero = in.a_zero.data();
  in.a_sum = Buffer<int32_t>(one.m);
  for (int64_t m = 0; m < one.m; ++m) {
    int64_t sum = 0;
    for (int64_t k = 0; k < one.k; ++k) sum += codes.data()[m * p.a_stride + k] - in.a_zero[m];
    in.a_sum[m] = static_cast<int32_t>(sum);
  }
  if (one.w_zero) p.a_sum = in.a_sum.data();
}

// A scale for each block of k, and the sums of each part.
void set_blocks(Random& random, const MatmulCase& one, MatmulInputs& in) {
  qmatmul::Params& p = in.params;
  p.a = in.a_byte.data();
  const int64_t block = block_of(one.group), part = part_of(one.group);
  const int64_t blocks = ceil_div(one.k, block), parts = blocks * (block / part);
  in.a_scale = filled<float>(one.m * blocks, [&] { return 0.001f + 0.01f * random.real(); });
  in.a_sum = Buffer<int32_t>(one.m * parts);
  for (int64_t i = 0; i < one.m * parts; ++i) {
    const int64_t m = i / parts, first = i % parts * part;
    for (int64_t k = first; k < first + part; ++k) in.a_sum[i] += in.a_byte[m * p.a_stride + k];
  }
  p.a_scale = in.a_scale.data();
  p.a_sum = in.a_sum.data();
}

// Any bits, or moderate numbers: of bfloat16, the upper half of a float.
void set_halves(Random& random, const MatmulCase& one, MatmulInputs& in) {
  const bool is_f16 = one.a_type == FloatType::kF16;
  in.a_half = filled<uint16_t>((one.m - 1) * in.params.a_stride + one.k, [&]() -> int64_t {
    if (one.rough) return random.whole(0, 0xffff);
    return is_f16 ? random.half() : std::bit_cast<uint32_t>(random.real()) >> 16;
  });
  in.params.a = in.a_half.data();
}

// Rows padded with zeros to fours of k.
void set_bfloats(Random& random, const MatmulCase& one, MatmulInputs& in) {
  const int64_t stride = in.params.a_stride;
  in.a_half = Buffer<uint16_t>((one.m - 1) * stride + round_up(one.k, kQuad));
  for (int64_t i = 0; i < one.m * one.k; ++i) {
    const float value = one.rough ? random.rough() : random.real();
    in.a_half[i / one.k * stride + i % one.k] = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
  }
  in.params.a = in.a_half.data();
}

void set_activations(Random& random, Activation activation, const MatmulCase& one, MatmulInputs& in) {
  qmatmul::Params& p = in.params;
  switch (activation) {
    case Activation::kF32:
      p.a_stride = one.k + one.gap;
      p.a_type = one.a_type;
      if (one.a_type != FloatType::kF32) return set_halves(random, one, in);
      in.a_float = filled<float>((one.m - 1) * p.a_stride + one.k,
                                 [&] { return one.rough ? random.rough() : random.real(); });
      p.a = in.a_float.data();
      return;
    case Activation::kBf16:
    case Activation::kBf16Tile:
      p.a_stride = round_up(one.k, kQuad) + kQuad * one.gap;
      return set_bfloats(random, one, in);
    case Activation::kI8:
      p.a_stride = round_up(one.k, kQuad) + kQuad * one.gap;
      in.a_byte = activation_codes<int8_t>(random, one, kQuad, -128, 127);
      return set_codes(random, one, in.a_byte, in);
    case Activation::kI16: {
      p.a_stride = round_up(one.k, kQuad) + kQuad * one.gap;
      const int64_t limit = qmatmul::activation_limit(one.k);
      in.a_word = activation_codes<int16_t>(random, one, kQuad, -limit, limit);
      return set_codes(random, one, in.a_word, in);
    }
    case Activation::kI8Block:
      p.a_stride = round_up(one.k, block_of(one.group)) + kQuad * one.gap;
      in.a_byte = activation_codes<int8_t>(random, one, block_of(one.group), -127, 127);
      return set_blocks(random, one, in);
  }
}

template <typename T, typename Make>
Buffer<T> row_major(const MatmulCase& one, const Make& make) {
  return filled<T>(one.n * one.k, make);
}

// Each code brought within what those before it that it is bound together with leave of 128 on its side.
void bound_codes(const MatmulCase& one, Weight weight, Buffer<int8_t>& codes) {
  const auto group = [&](int64_t k) { return weight == Weight::kI8Paired ? k / 2 : k / 8 * 2 + k % 4 / 2; };
  for (int64_t n = 0; n < one.n; ++n) {
    std::vector<int> above(one.k + 2, 128), below(one.k + 2, -128);
    for (int64_t k = 0; k < one.k; ++k) {
      int8_t& code = codes[n * one.k + k];
      int &most = above[group(k)], &least = below[group(k)];
      code = static_cast<int8_t>(std::clamp<int>(code, least, most));
      most -= std::max<int>(code, 0);
      least -= std::min<int>(code, 0);
    }
  }
}

void set_codes_of_weights(Random& random, Weight weight, const MatmulCase& one, MatmulInputs& in) {
  qmatmul::Params& p = in.params;
  Buffer<int8_t> codes = row_major<int8_t>(
      one, [&] { return one.extreme ? (random.one_in(8) ? -127 : 127) : random.whole(-127, 127); });
  if (one.natural) {
    for (int8_t& code : codes) code = static_cast<int8_t>(std::abs(int{code}));
  }
  if (weight != Weight::kI8) bound_codes(one, weight, codes);
  qmatmul::pack(Weight::kI8, one.n, one.k, codes.data(), in.weights.data());
  const int64_t padded = round_up(one.n, kPanel);
  in.w_scale = filled<float>(padded, [&] { return 0.002f + 0.01f * random.real(); }, 64);
  if (one.scaled) p.w_scale = in.w_scale.data();
  in.w_zero = filled<float>(padded, [&] { return random.whole(-40, 40); }, 64);
  if (one.w_zero) p.w_zero = in.w_zero.data();
  in.w_sum = Buffer<int32_t>(padded, 64);
  for (int64_t i = 0; i < one.n * one.k; ++i) in.w_sum[i / one.k] += codes.data()[i];
  // Without zero points of the activations a kernel has to do without the sums too.
  if (one.a_zero || one.bias) p.w_sum = in.w_sum.data();
}

int bits_of(Weight weight) {
  switch (weight) {
    case Weight::kI8Grid:
      return 8;
    case Weight::kI2Grid:
    case Weight::kT2Grid:
      return 2;
    case Weight::kT3Grid:
      return 3;
    default:
      return 4;
  }
}

void set_grid(Random& random, Weight weight, const MatmulCase& one, MatmulInputs& in) {
  const int64_t top = (int64_t{1} << bits_of(weight)) - 1;
  const bool is_signed = weight == Weight::kI8Grid;
  const Buffer<uint8_t> codes = filled<uint8_t>(one.n * one.k, [&]() -> int64_t {
    if (one.extreme) {
      const int64_t least = !is_signed ? 0 : one.natural ? 1 : 0x81;
      return random.one_in(8) ? least : is_signed ? 0x7f : top;
    }
    const int64_t code = random.whole(0, top);
    if (one.natural && is_signed) return code & 0x7f;
    return is_signed && code == 0x80 ? 0x81 : code;
  });
  in.weights = Buffer<char>(qmatmul::packed_bytes(weight, one.n, one.k, one.group), 64);
  qmatmul::pack(weight, one.n, one.k, codes.data(), in.weights.data(), one.group);
  const int64_t groups = one.group == 0 ? 1 : ceil_div(one.k, one.group);
  const bool can_have_zeros = weight == Weight::kI4Grid || weight == Weight::kI2Grid;
  in.grid = make_grid(random, one.scale_type, one.group, round_up(one.n, kPanel), groups,
                      one.w_zero && can_have_zeros);
  in.params.grid = in.grid.grid;
}

void set_weights(Random& random, Weight weight, const MatmulCase& one, MatmulInputs& in) {
  if (is_grid(weight)) {
    set_grid(random, weight, one, in);
    in.params.w = in.weights.data();
    return;
  }
  in.weights = Buffer<char>(qmatmul::packed_bytes(weight, one.n, one.k), 64);
  in.params.w = in.weights.data();
  switch (weight) {
    case Weight::kF32:
      return qmatmul::pack(weight, one.n, one.k, row_major<float>(one, [&] { return random.real(); }).data(),
                           in.weights.data());
    case Weight::kF16:
      return qmatmul::pack(weight, one.n, one.k,
                           row_major<uint16_t>(one, [&] { return random.half(); }).data(), in.weights.data());
    case Weight::kBf16: {
      const auto make = [&] { return std::bit_cast<uint32_t>(random.real()) >> 16; };
      return qmatmul::pack(weight, one.n, one.k, row_major<uint16_t>(one, make).data(), in.weights.data());
    }
    case Weight::kI8:
    case Weight::kI8Paired:
    case Weight::kI8Fours:
      return set_codes_of_weights(random, weight, one, in);
    default:
      fail(ErrorKind::kKernel, "make_inputs knows no weights of type ", static_cast<int>(weight));
  }
}

void set_epilogue(Random& random, const MatmulCase& one, MatmulInputs& in) {
  qmatmul::Params& p = in.params;
  p.m = one.m;
  p.n = one.n;
  p.k = one.k;
  p.n_begin = one.n_begin;
  p.n_end = one.n_end == 0 ? one.n : one.n_end;
  const int64_t stride = one.n + one.gap;
  const int64_t size = (one.m - 1) * stride + one.n;
  in.bias = filled<float>(one.n, [&] { return random.real(); });
  if (one.bias) p.bias = in.bias.data();
  in.residual = filled<float>(size, [&] { return random.real(); });
  if (one.residual) p.residual = in.residual.data();
  p.residual_stride = stride;
  p.nonlinearity = one.gelu ? qmatmul::Nonlinearity::kGelu : qmatmul::Nonlinearity::kNone;
  in.c = Buffer<float>(size);
  p.c = in.c.data();
  p.c_stride = stride;
}

}  // namespace

MatmulInputs make_inputs(Activation activation, Weight weight, const MatmulCase& one) {
  Random random(one.seed);
  MatmulInputs in;
  set_epilogue(random, one, in);
  set_activations(random, activation, one, in);
  set_weights(random, weight, one, in);
  return in;
}

bool is_grid(Weight weight) {
  return weight >= Weight::kI8Grid;
}

std::vector<MatmulCase> matmul_cases(uint64_t seed, bool grids) {
  std::vector<MatmulCase> cases;
  const auto add = [&](MatmulCase one) {
    one.seed = ++seed;
    one.a_type = static_cast<FloatType>(cases.size() % 3);
    cases.push_back(one);
  };
  // Every number of rows of a register tile, at once with every option.
  for (int64_t m = 1; m <= 15; ++m) {
    MatmulCase one{.m = m, .n = 16 * (1 + m % 4) + m % 5, .k = 17 + 3 * m, .gap = m % 3};
    one.a_zero = m % 2 == 1;
    one.w_zero = m % 3 == 1;
    one.bias = m % 4 == 1;
    one.residual = m % 5 == 1;
    one.gelu = m % 4 == 2;
    one.scaled = m % 7 != 6;
    one.rough = m % 6 == 5;
    add(one);
  }
  // Lengths around quads and pairs of them, and outputs around panels.
  for (const int64_t k : {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 31}) {
    add({.m = 2, .n = 1 + k, .k = k, .a_zero = true, .w_zero = true, .bias = true});
    add({.m = 5, .n = 129 + k, .k = k});
  }
  // Several row tiles and chunks of k, where weights are decoded first, and blocks of rows.
  add({.m = 29, .n = 17, .k = 515, .a_zero = true, .w_zero = true, .bias = true, .gelu = true});
  add({.m = 17, .n = 36, .k = 1100, .gap = 1, .a_zero = true, .residual = true});
  add({.m = 197, .n = 17, .k = 65, .a_zero = true, .w_zero = true});
  // Around the rows, the k and the pairs of tiles of 16 x 64.
  for (const int64_t m : {16, 17, 32, 33, 50}) {
    const int64_t k = m == 33 ? 577 : 47 + m;
    add({.m = m, .n = 16 + m, .k = k, .gap = m % 3, .a_zero = true, .w_zero = true, .bias = true});
  }
  // One row against many outputs.
  add({.m = 1, .n = 256, .k = 384, .bias = true});
  add({.m = 1, .n = 100, .k = 1029, .w_zero = true, .residual = true});
  // The part of the outputs that one thread of several computes.
  add({.m = 3, .n = 100, .k = 40, .n_begin = 32, .n_end = 80, .bias = true, .residual = true});
  add({.m = 7, .n = 100, .k = 40, .n_begin = 48, .n_end = 0, .a_zero = true, .bias = true});
  // Sums at the edge of their budget.
  for (const int64_t m : {1, 2, 13}) add({.m = m, .n = 33, .k = 1536, .extreme = true});
  add({.m = 4, .n = 16, .k = 516, .a_zero = true, .w_zero = true, .extreme = true});
  if (!grids) return cases;
  for (const int64_t group : {16, 32, 64, 128}) {
    for (const Scale type : {Scale::kF16, Scale::kU8, Scale::kE8M0, Scale::kE4M3}) {
      for (const bool w_zero : {false, true}) {
        add({.m = 3, .n = 21, .k = 150, .w_zero = w_zero, .group = group, .scale_type = type});
      }
    }
    add({.m = 35, .n = 39, .k = 700, .w_zero = group < 64, .residual = true, .group = group});
    for (const int64_t m : {1, 14}) {
      const int64_t k = group < 64 ? 1539 : 300;
      add({.m = m, .n = 18, .k = k, .w_zero = true, .bias = true, .group = group});
      add({.m = m, .n = 16, .k = 512, .extreme = true, .group = group});
    }
  }
  for (const int64_t k : {5, 130, 300}) {
    add({.m = 7, .n = 33, .k = k, .w_zero = k == 300, .gelu = true, .group = 0, .scale_type = Scale::kF32});
  }
  return cases;
}

}  // namespace arrowmind::isa_test

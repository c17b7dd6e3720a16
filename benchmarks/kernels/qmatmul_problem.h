#pragma once

// Random operands for one row of the qmatmul table, and what the row is held against.

#include <cstring>
#include <random>
#include <string>

#include "base/aligned_buffer.h"
#include "base/checked.h"
#include "base/error.h"
#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::bench {

using qmatmul::Activation;
using qmatmul::Params;
using qmatmul::Row;
using qmatmul::Weight;

struct Shape {
  int64_t m, n, k;
};

// k per scale that the codes of a row usually have; 0 of those without groups.
inline int64_t usual_group(const Row& row) {
  const bool is_trellis = row.weight == Weight::kT2Grid || row.weight == Weight::kT3Grid;
  return row.weight < Weight::kI8Grid ? 0 : is_trellis ? 128 : 32;
}

// A problem with random operands, packed weights made directly.
class Problem {
 public:
  Problem(const Row& row, Shape shape) : Problem(row, shape, usual_group(row)) {}
  Problem(const Row& row, Shape shape, int64_t group) : row_(row), shape_(shape), group_(group) {
    const auto [m, n, k] = shape;
    const int64_t stride = round_up(k, std::max(qmatmul::kQuad, group_));
    const int64_t padded_n = round_up(n, qmatmul::kPanel);
    fill_weights();
    fill_activations(m * stride);
    scales_.resize((m + padded_n) * 4);
    for (int64_t i = 0; i < m + padded_n; ++i) scales_.as<float>()[i] = 0.001f;
    c_.resize(m * n * 4);
    p.m = m;
    p.n = n;
    p.k = k;
    p.a = a_.as<void>();
    p.a_stride = stride;
    p.w = w_.as<void>();
    p.c = c_.as<float>();
    p.c_stride = n;
    p.n_end = n;
    if (row.weight >= Weight::kI8Grid) add_grid();
    const bool has_rows = row.weight >= Weight::kI8 && row.weight <= Weight::kI8Fours;
    if (!has_rows) return;
    p.w_scale = scales_.as<float>();
    p.a_scale = scales_.as<float>() + padded_n;
    sum_weights();
  }

  double bytes() const {
    const int64_t a = row_.activation == Activation::kF32 ? 4 : row_.activation == Activation::kI16 ? 2 : 1;
    const int64_t per_group = scale_bytes() + (p.grid.zeros != nullptr ? 1 : 0);
    const int64_t scales =
        group_ == 0 ? 0 : round_up(shape_.n, qmatmul::kPanel) * (shape_.k / group_) * per_group;
    return static_cast<double>(qmatmul::packed_bytes(row_.weight, shape_.n, shape_.k, group_) + scales +
                               shape_.m * shape_.k * a + shape_.m * shape_.n * 4);
  }

  // Lays copies of the weights one after the other, so that calls in turn find none of them in a cache.
  void replicate(int64_t copies) {
    copy_bytes_ = round_up(qmatmul::packed_bytes(row_.weight, shape_.n, shape_.k, group_), 64);
    copy_scales_ =
        round_up(round_up(shape_.n, qmatmul::kPanel) * ceil_div(shape_.k, std::max<int64_t>(group_, 1)), 64);
    repeat(w_, copy_bytes_, copies);
    if (group_ == 0) return;
    repeat(grid_scales_, copy_scales_ * scale_bytes(), copies);
    repeat(grid_zeros_, copy_scales_, copies);
  }
  // The problem with copy i of the weights.
  Params copy(int64_t i) {
    Params q = p;
    q.w = w_.as<char>() + i * copy_bytes_;
    if (group_ == 0) return q;
    q.grid.scales = grid_scales_.as<char>() + i * copy_scales_ * scale_bytes();
    if (p.grid.zeros != nullptr) q.grid.zeros = grid_zeros_.as<uint8_t>() + i * copy_scales_;
    return q;
  }

  // Compares the first and the last panel with the oracle. Throws Error(kKernel) on any difference.
  void check(const Row& oracle) {
    row_.run(p);
    AlignedBuffer expected(shape_.m * shape_.n * 4);
    for (const int64_t n : {int64_t{0}, (shape_.n - 1) / qmatmul::kPanel * qmatmul::kPanel}) {
      Params q = p;
      q.c = expected.as<float>();
      q.n_begin = n;
      q.n_end = std::min(n + qmatmul::kPanel, shape_.n);
      oracle.run(q);
      for (int64_t m = 0; m < shape_.m; ++m) {
        const size_t size = static_cast<size_t>(q.n_end - n) * 4;
        if (std::memcmp(q.c + m * shape_.n + n, p.c + m * shape_.n + n, size) == 0) continue;
        fail(ErrorKind::kKernel, row_.row.name, " differs from ", oracle.row.name, " in row ", m);
      }
    }
  }

  Params p;

 private:
  int64_t scale_bytes() const { return p.grid.scale_type == qmatmul::Scale::kF16 ? 2 : 1; }

  static void repeat(AlignedBuffer& buffer, int64_t bytes, int64_t copies) {
    AlignedBuffer all(bytes * copies);
    for (int64_t i = 0; i < copies; ++i) {
      std::memcpy(all.as<char>() + i * bytes, buffer.as<char>(),
                  static_cast<size_t>(std::min(bytes, buffer.capacity())));
    }
    buffer = std::move(all);
  }

  // int8 and trellis codes have scales of 16 bits, int4 zero points too, int2 scales and zero points of 8;
  // fp4 is MXFP4.
  void add_grid() {
    using qmatmul::Scale;
    const int64_t padded_n = round_up(shape_.n, qmatmul::kPanel);
    const int64_t groups = shape_.k / group_;
    p.grid.group = group_;
    p.grid.scale_type = row_.weight == Weight::kI2Grid    ? Scale::kU8
                        : row_.weight == Weight::kFp4Grid ? Scale::kE8M0
                                                          : Scale::kF16;
    grid_scales_.resize(padded_n * groups * 2);
    grid_zeros_.resize(padded_n * groups);
    outer_.resize(padded_n * 4);
    for (int64_t i = 0; i < padded_n * groups; ++i) {
      if (scale_bytes() == 2) {
        grid_scales_.as<uint16_t>()[i] =
            static_cast<uint16_t>(0x1400 + (random_() & 0x3ff));  // 0.001 to 0.002
      } else {
        grid_scales_.as<uint8_t>()[i] = static_cast<uint8_t>(100 + random_() % 24);
      }
      grid_zeros_.as<uint8_t>()[i] = static_cast<uint8_t>(random_());
    }
    for (int64_t i = 0; i < padded_n; ++i) outer_.as<float>()[i] = 1e-5f;
    p.grid.scales = grid_scales_.as<void>();
    if (row_.weight == Weight::kI2Grid) p.grid.outer = outer_.as<float>();
    if (row_.weight == Weight::kI2Grid || row_.weight == Weight::kI4Grid) {
      p.grid.zeros = grid_zeros_.as<uint8_t>();
    }
    if (row_.activation == Activation::kI8Block) sum_activations(groups);
  }

  void sum_activations(int64_t groups) {
    for (AlignedBuffer* buffer : {&a_scales_, &a_sums_}) buffer->resize(shape_.m * groups * 4);
    for (int64_t i = 0; i < shape_.m * groups; ++i) {
      int32_t sum = 0;
      for (int64_t j = 0; j < group_; ++j) sum += a_.as<int8_t>()[i * group_ + j];
      a_scales_.as<float>()[i] = 0.001f;
      a_sums_.as<int32_t>()[i] = sum;
    }
    p.a_scale = a_scales_.as<float>();
    p.a_sum = a_sums_.as<int32_t>();
  }

  void fill_weights() {
    // Numbers, or bytes of codes that are narrower.
    const int64_t count = row_.weight > Weight::kI8Grid
                              ? qmatmul::packed_bytes(row_.weight, shape_.n, shape_.k, group_)
                              : round_up(shape_.n, qmatmul::kPanel) * round_up(shape_.k, qmatmul::kQuad);
    const bool is_half = row_.weight == Weight::kF16 || row_.weight == Weight::kBf16;
    w_.resize(row_.weight == Weight::kF32 ? count * 4 : is_half ? count * 2 : count);
    for (int64_t i = 0; i < count; ++i) {
      if (row_.weight == Weight::kF32) {
        w_.as<float>()[i] = unit();
      } else if (row_.weight == Weight::kF16) {
        w_.as<uint16_t>()[i] = static_cast<uint16_t>(0x3800 + (random_() & 0x83ff));  // 0.5 to 1, both signs
      } else if (row_.weight == Weight::kBf16) {
        w_.as<uint16_t>()[i] = static_cast<uint16_t>(0x3f00 + (random_() & 0x807f));  // the same
      } else if (row_.weight == Weight::kI8Paired) {
        w_.as<int8_t>()[i] = static_cast<int8_t>(unit() * 64.0f);
      } else if (row_.weight == Weight::kI8Fours) {
        w_.as<int8_t>()[i] = static_cast<int8_t>(unit() * 32.0f);
      } else if (row_.weight == Weight::kI8 || row_.weight == Weight::kI8Grid) {
        w_.as<int8_t>()[i] = static_cast<int8_t>(unit() * 127.0f);
      } else {
        w_.as<uint8_t>()[i] = static_cast<uint8_t>(random_() >> 8);
      }
    }
  }

  void fill_activations(int64_t count) {
    a_.resize(count * 4);
    const auto limit = static_cast<float>(qmatmul::activation_limit(shape_.k));
    for (int64_t i = 0; i < count; ++i) {
      if (row_.activation == Activation::kF32) {
        a_.as<float>()[i] = unit();
      } else if (row_.activation == Activation::kI16) {
        a_.as<int16_t>()[i] = static_cast<int16_t>(unit() * limit);
      } else {
        a_.as<int8_t>()[i] = static_cast<int8_t>(unit() * 127.0f);
      }
    }
  }

  void sum_weights() {
    const int64_t padded_n = round_up(shape_.n, qmatmul::kPanel);
    const int64_t quads = ceil_div(shape_.k, qmatmul::kQuad);
    sums_.resize(padded_n * 4);
    for (int64_t n = 0; n < padded_n; ++n) {
      int32_t sum = 0;
      for (int64_t i = 0; i < quads * qmatmul::kQuad; ++i) {
        const int64_t quad = n / qmatmul::kPanel * quads + i / qmatmul::kQuad;
        sum += w_.as<int8_t>()[(quad * qmatmul::kPanel + n % qmatmul::kPanel) * qmatmul::kQuad +
                               i % qmatmul::kQuad];
      }
      sums_.as<int32_t>()[n] = sum;
    }
    p.w_sum = sums_.as<int32_t>();
  }

  // Uniform in (-1, 1).
  float unit() { return static_cast<float>(static_cast<int32_t>(random_())) * 0x1p-31f * 0.999f; }

  const Row& row_;
  const Shape shape_;
  std::minstd_rand random_{1};
  int64_t group_ = 0;
  int64_t copy_bytes_ = 0, copy_scales_ = 0;
  AlignedBuffer a_, w_, c_, scales_, sums_, grid_scales_, grid_zeros_, outer_, a_scales_, a_sums_;
};

// The scalar row of the same types.
const Row& oracle_of(const Row& row);

// The measured limit that bounds a row's arithmetic; a name no probe has for an ISA without one.
std::string limit_of(const Row& row);

}  // namespace arrowmind::bench

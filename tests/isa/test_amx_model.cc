// The model of the tile instructions itself: that its signs and orders are those of the manual, that it
// refuses what the processor refuses, and that kernels may run on it from several threads at once.

#include <cstdio>
#include <cstring>

#include "amx/rows.h"
#include "base/thread_pool.h"
#include "ops.h"
#include "qmatmul_inputs.h"

#define ARROWMIND_ISA amxtest
#include "amx/model.h"

namespace arrowmind::qmatmul {

#define KERNEL(isa, name, activation, weight, min_m, cost) void name(const Params&);
#include "amx/rows.inc"
#undef KERNEL

}  // namespace arrowmind::qmatmul

namespace arrowmind::isa_test {
namespace {

using amxtest::ModelTiles;
using amxtest::TileConfig;

TileConfig small_config() {
  TileConfig config;
  const uint8_t rows[] = {2, 0, 0, 0, 2, 0, 1};
  const uint16_t bytes[] = {8, 0, 0, 0, 4, 0, 8};
  std::memcpy(config.rows, rows, sizeof(rows));
  std::memcpy(config.row_bytes, bytes, sizeof(bytes));
  return config;
}

// Two rows times two outputs, by hand: every pair of signs, and the largest magnitudes.
bool products_are_right() {
  const int8_t a[2][4] = {{-128, 127, -1, 1}, {1, 2, 3, 4}};
  const int8_t w[2][4] = {{-128, 127, 127, -128}, {-1, 0, 1, 0}};
  const int32_t expected[2][2] = {{16384 + 16129 - 127 - 128, 128 - 1}, {-128 + 254 + 381 - 512, -1 + 3}};
  int32_t sums[2][2];
  ModelTiles::configure(small_config());
  ModelTiles::zero<0>();
  ModelTiles::load<4>(a, 4);
  ModelTiles::load<6>(w, 8);
  ModelTiles::dot_i8<0, 4, 6>();
  ModelTiles::store<0>(sums, 8);
  ModelTiles::release();
  return std::memcmp(sums, expected, sizeof(sums)) == 0;
}

template <typename Use>
bool refuses(const Use& use) {
  try {
    use();
  } catch (const Error&) {
    ModelTiles::release();
    return true;
  }
  return false;
}

bool refuses_what_the_processor_refuses() {
  TileConfig large = small_config(), other = small_config();
  large.rows[0] = 17;
  other.rows[4] = 1;
  return refuses([] { ModelTiles::zero<0>(); }) && refuses([&] { ModelTiles::configure(large); }) &&
         refuses([] {
           ModelTiles::configure(small_config());
           ModelTiles::zero<1>();
         }) &&
         refuses([&] {
           ModelTiles::configure(other);
           ModelTiles::dot_i8<0, 4, 6>();
         });
}

// Parts of the outputs on three threads against the whole on one.
bool threads_have_tiles_of_their_own(const qmatmul::Row& row) {
  const MatmulCase one{.m = 20, .n = 16 * 6, .k = 100, .bias = true, .seed = 7};
  MatmulInputs in = make_inputs(row.activation, row.weight, one);
  row.run(in.params);
  const std::vector<float> whole(in.c.begin(), in.c.end());
  for (float& c : in.c) c = -7.0f;
  ThreadPool pool(3);
  pool.run(6, [&](int64_t task, int) {
    qmatmul::Params part = in.params;
    part.n_begin = task * qmatmul::kPanel;
    part.n_end = part.n_begin + qmatmul::kPanel;
    row.run(part);
  });
  return std::memcmp(whole.data(), in.c.data(), whole.size() * sizeof(float)) == 0;
}

}  // namespace

std::vector<qmatmul::Row> amx_model_rows() {
  return {
#define KERNEL(isa, name, activation, weight, min_m, cost)        \
  qmatmul::Row{{"qmatmul", #name, Isa::isa, "tiles in software"}, \
               qmatmul::Activation::activation,                   \
               qmatmul::Weight::weight,                           \
               min_m,                                             \
               cost,                                              \
               qmatmul::name},
#include "amx/rows.inc"
#undef KERNEL
  };
}

void test_amx_model(Report& report) {
  const auto expect = [&](bool met, const char* what) {
    if (!met) report.fail("model of tiles", what);
  };
  expect(products_are_right(), "wrong products of signed bytes");
  expect(refuses_what_the_processor_refuses(), "does not refuse what the processor refuses");
  int rows = 0;
  for (const qmatmul::Row& row : amx_model_rows()) {
    if (!isa_enabled(row.row.isa)) continue;
    expect(threads_have_tiles_of_their_own(row), "threads share tiles");
    ++rows;
  }
  std::printf("ok the model of tiles, and %d rows on it from several threads\n", rows);
}

}  // namespace arrowmind::isa_test

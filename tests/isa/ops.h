#pragma once

#include "report.h"

namespace arrowmind::isa_test {

// One per op: every row of its table against the scalar row, on cases made from `seed`.
void test_activate(Report& report, uint64_t seed);
void test_attention(Report& report, uint64_t seed);
void test_cached_attention(Report& report, uint64_t seed);
void test_cross_attention(Report& report, uint64_t seed);
void test_embed(Report& report, uint64_t seed);
void test_norm(Report& report, uint64_t seed);
void test_pool(Report& report, uint64_t seed);
// natural_tiles: rows of AMX INT8 get codes without signs, for an emulator that has those wrong.
void test_qmatmul(Report& report, uint64_t seed, bool natural_tiles);
void test_quantise(Report& report, uint64_t seed);
void test_rope(Report& report, uint64_t seed);
void test_route(Report& report, uint64_t seed);
void test_scan(Report& report, uint64_t seed);
void test_simd(Report& report, uint64_t seed);
void test_trellis(Report& report, uint64_t seed);

// The software model of the tile instructions, on which the kernels of amx/rows.inc run.
void test_amx_model(Report& report);

// What select() takes, under every value of ARROWMIND_MAX_ISA.
void test_dispatch(Report& report);

}  // namespace arrowmind::isa_test

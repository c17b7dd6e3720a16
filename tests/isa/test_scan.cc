#include "buffer.h"
#include "kernels/scan/scan.h"
#include "ops.h"
#include "random.h"

namespace arrowmind::isa_test {
namespace {

enum class Values : uint8_t { kAny, kLargest, kOpposite };

struct Case {
  int64_t row_bytes, count;
  bool listed;
  Values values;
  uint64_t seed;
  std::string text() const {
    return cat(count, " rows of ", row_bytes, " bytes", listed ? ", listed" : "", ", values ",
               static_cast<int>(values));
  }
};

// Codes and query that come nearest to the largest sums, or make the largest distance.
uint8_t code(Random& random, Values values) {
  if (values == Values::kAny) return static_cast<uint8_t>(random.word());
  return values == Values::kLargest ? 0x80 : 0xff;
}

Outcome run(const scan::Row& row, const Case& one) {
  constexpr int64_t kFirst = 2;
  Random random(one.seed);
  const int64_t stored = one.count + kFirst;
  const Buffer<uint8_t> codes =
      filled<uint8_t>(stored * one.row_bytes, [&] { return code(random, one.values); });
  const int64_t padded = (one.row_bytes + scan::kQueryPad - 1) / scan::kQueryPad * scan::kQueryPad;
  Buffer<int16_t> query(padded);
  const int64_t limit = scan::query_limit(one.row_bytes);
  for (int64_t k = 0; k < one.row_bytes; ++k) {
    query[k] = static_cast<int16_t>(one.values == Values::kAny ? random.whole(-limit, limit) : -limit);
  }
  Buffer<uint8_t> bits(padded);
  for (int64_t k = 0; k < one.row_bytes; ++k) {
    bits[k] = one.values == Values::kAny ? static_cast<uint8_t>(random.word()) : 0;
  }
  const Buffer<uint32_t> rows = filled<uint32_t>(one.count, [&] { return random.whole(0, stored - 1); });
  Buffer<int32_t> out = filled<int32_t>(one.count, [] { return -7; });
  scan::Params p;
  p.codes = codes.data();
  p.row_bytes = one.row_bytes;
  p.query = row.codes == scan::Codes::kBits ? static_cast<const void*>(bits.data()) : query.data();
  p.rows = one.listed ? rows.data() : nullptr;
  p.first = kFirst;
  p.count = one.count;
  p.out = out.data();
  row.run(p);
  return {{}, {out.begin(), out.end()}};
}

}  // namespace

void test_scan(Report& report, uint64_t seed) {
  std::vector<Case> cases;
  for (const int64_t size : {1, 7, 8, 15, 16, 17, 31, 33, 47, 48, 63, 64, 65, 96, 128, 384, 500, 768, 1000}) {
    for (const bool listed : {false, true}) {
      for (const Values values : {Values::kAny, Values::kLargest, Values::kOpposite}) {
        cases.push_back({size, size % 2 == 0 ? 13 : 5, listed, values, ++seed});
      }
    }
  }
  check_rows(
      report, scan::rows(), cases, [](const auto& a, const auto& b) { return a.codes == b.codes; }, run);
}

}  // namespace arrowmind::isa_test

#include "buffer.h"
#include "grid_inputs.h"
#include "kernels/embed/embed.h"
#include "ops.h"

namespace arrowmind::isa_test {
namespace {

using embed::Element;

struct Case {
  int64_t width;
  Element word, position;
  bool zero_points, has_position, has_type;
  int64_t group;
  grid::Scale scale_type;
  uint64_t seed;
  std::string text() const {
    return cat("width ", width, ", word elements ", static_cast<int>(word), ", position elements ",
               static_cast<int>(position), zero_points ? ", zero points" : "",
               has_position ? "" : ", no position", has_type ? "" : ", no type", ", group ", group,
               ", scales ", static_cast<int>(scale_type));
  }
};

// A table and what it points to.
struct OwnTable {
  OwnTable(Random& random, const Case& one, Element element, int64_t rows, bool zero_points) {
    table.element = element;
    table.rows = rows;
    const int64_t size = rows * one.width;
    switch (element) {
      case Element::kF32:
        floats = filled<float>(size, [&] { return random.rough(); });
        table.data = floats.data();
        return;
      case Element::kF16:
        halves = filled<uint16_t>(size, [&] { return random.half(); });
        table.data = halves.data();
        return;
      case Element::kBf16:
        halves = filled<uint16_t>(size, [&] { return random.whole(0, 0xffff); });
        table.data = halves.data();
        return;
      case Element::kI8:
        codes = filled<int8_t>(size, [&] { return random.whole(-128, 127); });
        table.data = codes.data();
        scales = filled<float>(rows, [&] { return random.real(); });
        table.scale = scales.data();
        if (!zero_points) return;
        zeros = filled<float>(rows, [&] { return random.whole(-128, 127); });
        table.zero = zeros.data();
        return;
      default:
        set_grid(random, one, rows, zero_points);
    }
  }
  void set_grid(Random& random, const Case& one, int64_t rows, bool zero_points) {
    const bool is_i8 = table.element == Element::kI8Grid;
    const bool can_have_zeros = table.element == Element::kI4Grid || table.element == Element::kI2Grid;
    const int64_t per_byte = is_i8 ? 1 : table.element == Element::kI2Grid ? 4 : 2;
    bytes = filled<uint8_t>(rows * ((one.width + per_byte - 1) / per_byte),
                            [&] { return is_i8 ? random.whole(-127, 127) : random.whole(0, 255); });
    table.data = bytes.data();
    const int64_t groups = one.group == 0 ? 1 : (one.width + one.group - 1) / one.group;
    grid = make_grid(random, one.scale_type, one.group, rows, groups, zero_points && can_have_zeros);
    table.grid = grid.grid;
  }
  embed::Table table;
  Buffer<float> floats, scales, zeros;
  Buffer<uint16_t> halves;
  Buffer<int8_t> codes;
  Buffer<uint8_t> bytes;
  GridInputs grid;
};

Outcome run(const embed::Row& row, const Case& one) {
  constexpr int64_t kRows = 11, kTypes = 2, kTokens = 9, kGap = 3;
  Random random(one.seed);
  const OwnTable word(random, one, one.word, kRows, one.zero_points);
  const OwnTable position(random, one, one.position, kRows, one.zero_points);
  const OwnTable type(random, one, Element::kF32, kTypes, false);
  const Buffer<int32_t> token = filled<int32_t>(kTokens, [&] { return random.whole(0, kRows - 1); });
  const Buffer<int32_t> place = filled<int32_t>(kTokens, [&] { return random.whole(0, kRows - 1); });
  const Buffer<int32_t> type_id = filled<int32_t>(kTokens, [&] { return random.whole(0, kTypes - 1); });
  const int64_t stride = one.width + kGap;
  Buffer<float> out = filled<float>(kTokens * stride - kGap, [] { return -7.0f; });
  embed::Params p;
  p.word = word.table;
  if (one.has_position) p.position = position.table;
  if (one.has_type) p.type = type.table;
  p.token = token.data();
  p.position_id = place.data();
  p.type_id = one.zero_points ? nullptr : type_id.data();
  p.width = one.width;
  p.out = out.data();
  p.out_stride = stride;
  p.begin = 1;
  p.end = kTokens;
  row.run(p);
  return {{out.begin(), out.end()}, {}};
}

}  // namespace

void test_embed(Report& report, uint64_t seed) {
  using grid::Scale;
  std::vector<Case> cases;
  for (const int64_t width : {1, 7, 15, 16, 17, 48, 384}) {
    for (const Element element : {Element::kF32, Element::kF16, Element::kBf16, Element::kI8}) {
      for (const bool flag : {false, true}) {
        const Element other = element == Element::kF32 ? Element::kI8 : Element::kF32;
        cases.push_back({width, element, other, flag, width != 7, width != 17, 0, Scale::kF32, ++seed});
      }
    }
  }
  for (const Element element : {Element::kI8Grid, Element::kI4Grid, Element::kI2Grid, Element::kFp4Grid}) {
    for (const int64_t group : {0, 16, 32, 64}) {
      for (const Scale type : {Scale::kF16, Scale::kU8, Scale::kE8M0, Scale::kE4M3}) {
        const Scale scale_type = group == 0 ? Scale::kF32 : type;
        cases.push_back({100, element, Element::kF16, group != 32, true, true, group, scale_type, ++seed});
      }
    }
  }
  check_rows(report, embed::rows(), cases, [](const auto&, const auto&) { return true; }, run);
}

}  // namespace arrowmind::isa_test

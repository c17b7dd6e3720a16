#include "runtime/ops/embed.h"

#include "base/error.h"
#include "runtime/on_device/grid_weights.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kGrainTokens = 64;

class Embed : public Op {
 public:
  Embed(const EmbedTables& tables, int64_t width, int output)
      : kernel_(embed::select()), tables_(tables), output_(output) {
    params_.word = tables.word;
    params_.position = tables.position;
    params_.type = tables.token_type;
    params_.width = width;
    writes = {output};
  }

  void run(const Execution& e) const override {
    const int32_t row_0 = 0;
    verify(tables_.word_guard, tables_.word, e.batch.token_ids, e.batch.tokens());
    verify(tables_.position_guard, tables_.position, e.positions, e.batch.tokens());
    verify(tables_.token_type_guard, tables_.token_type, &row_0, 1);
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    e.spread(e.batch.tokens(), kGrainTokens, [&](int64_t begin, int64_t end, int) {
      embed::Params p = params_;
      p.token = e.batch.token_ids;
      p.position_id = e.positions;
      p.out = out.f32();
      p.out_stride = out.stride;
      p.begin = begin;
      p.end = end;
      kernel_.run(p);
    });
  }

  std::vector<std::string> kernels() const override { return {std::string(kernel_.row.name)}; }

  bool lower(Lowering& to) const override {
    lower_table(to, tables_.word, tables_.word_guard, Lowering::of(Place::Kind::kTokenIds), 0);
    if (tables_.position.data != nullptr) {
      lower_table(to, tables_.position, tables_.position_guard, Lowering::of(Place::Kind::kPositions),
                  device::kAccumulate);
    }
    if (tables_.token_type.data != nullptr) {
      lower_table(to, tables_.token_type, tables_.token_type_guard, Lowering::nothing(), device::kAccumulate);
    }
    return true;
  }

 private:
  static void verify(const RowGuard& guard, const embed::Table& table, const int32_t* rows, int64_t count) {
    if (!guard.tree) return;
    std::vector<arrow::FileRange> missing;
    for (int64_t i = 0; i < count; ++i) {
      const uint8_t* row = static_cast<const uint8_t*>(table.data) + rows[i] * guard.row_bytes;
      if (!guard.tree->is_verified(row, guard.row_bytes)) {
        missing.push_back(guard.tree->range_of(row, guard.row_bytes));
      }
    }
    if (!missing.empty()) guard.tree->verify(missing, cat("tensor '", guard.name, "'"));
  }

  void lower_table(Lowering& to, const embed::Table& table, const RowGuard& guard, Place index,
                   uint32_t flags) const {
    verify_whole(guard, table);
    device::EmbedParameters p = {};
    p.width = Lowering::word(params_.width);
    p.out_stride = to.stride(output_);
    p.row_bytes = Lowering::word(row_bytes(table.element, params_.width));
    p.element = static_cast<uint32_t>(table.element);  // device::EmbedElement has the same order
    p.index = index.kind == Place::Kind::kNothing ? device::kIndexFirst : device::kIndexGiven;
    GridPlaces grid;
    if (table.element >= embed::Element::kI8Grid) {
      grid = grid_places(to, table.grid, table.rows, params_.width);
    } else {
      grid.scales = to.constant(table.scale, table.rows * 4);
      grid.zeros = to.constant(table.zero, table.rows * 4);
      if (table.zero != nullptr) grid.flags = device::kHasZeros;
    }
    p.flags = flags | grid.flags;
    p.group = grid.group;
    p.groups = grid.groups;
    p.scale_type = grid.scale_type;
    to.launch("embed",
              {index, to.constant(table.data, table.rows * p.row_bytes), grid.scales, grid.zeros, grid.outer,
               Lowering::data(output_)},
              p, {.x = params_.width});
  }

  static int64_t row_bytes(embed::Element element, int64_t width) {
    switch (element) {
      case embed::Element::kF32:
        return 4 * width;
      case embed::Element::kF16:
      case embed::Element::kBf16:
        return 2 * width;
      case embed::Element::kI8:
      case embed::Element::kI8Grid:
        return width;
      case embed::Element::kI4Grid:
      case embed::Element::kFp4Grid:
        return ceil_div(width, int64_t{2});
      case embed::Element::kI2Grid:
        return ceil_div(width, int64_t{4});
    }
    return 0;
  }

  // A device gets the table as a whole.
  static void verify_whole(const RowGuard& guard, const embed::Table& table) {
    if (!guard.tree) return;
    const auto* data = static_cast<const uint8_t*>(table.data);
    const int64_t bytes = guard.row_bytes * table.rows;
    if (!guard.tree->is_verified(data, bytes)) {
      guard.tree->verify({guard.tree->range_of(data, bytes)}, cat("tensor '", guard.name, "'"));
    }
  }

  const embed::Row& kernel_;
  EmbedTables tables_;
  embed::Params params_;
  int output_;
};

void check_rows(const embed::Table& table, int64_t rows, const char* what) {
  if (table.data == nullptr || table.rows < rows) {
    fail(ErrorKind::kWeight, "the ", what, " table has ", table.rows, " rows; the configuration needs ",
         rows);
  }
}

}  // namespace

void add_embed(Plan& plan, const EmbedTables& tables, int output) {
  plan.expect(output, BufferType::kF32, -1, "embedding output");
  check_rows(tables.word, plan.limits().vocabulary, "word");
  if (tables.position.data != nullptr) check_rows(tables.position, plan.limits().max_length, "position");
  plan.add_op(std::make_unique<Embed>(tables, plan.columns(output), output));
}

}  // namespace arrowmind::runtime

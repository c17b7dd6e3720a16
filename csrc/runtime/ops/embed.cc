#include "runtime/ops/embed.h"

#include "base/error.h"

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

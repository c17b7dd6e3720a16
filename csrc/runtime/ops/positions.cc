#include "runtime/ops/positions.h"

#include <cstring>

#include "base/error.h"
#include "runtime/on_device/lowering.h"
#include "runtime/ops/copy.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kGrainTokens = 64;

class Positions : public Op {
 public:
  Positions(const float* table, int64_t rows, int64_t width, int buffer)
      : table_(table), rows_(rows), width_(width), buffer_(buffer) {
    reads = {buffer};
    writes = {buffer};
  }

  void run(const Execution& e) const override {
    const Slot& slot = e.slots[static_cast<size_t>(buffer_)];
    e.spread(e.batch.tokens(), kGrainTokens, [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; ++row) {
        const float* x = table_ + e.positions[row] * width_;
        float* y = slot.f32() + row * slot.stride;
        for (int64_t k = 0; k < width_; ++k) y[k] += x[k];
      }
    });
  }

  std::vector<std::string> kernels() const override { return {}; }

  // A table of embeddings that is added: row by row, by the place of each.
  bool lower(Lowering& to) const override {
    device::EmbedParameters p = {};
    p.width = Lowering::word(width_);
    p.out_stride = to.stride(buffer_);
    p.row_bytes = Lowering::word(4 * width_);
    p.element = device::kEmbedF32;
    p.index = device::kIndexGiven;
    p.flags = device::kAccumulate;
    to.launch("embed",
              {Lowering::of(Place::Kind::kPositions), to.constant(table_, 4 * rows_ * width_), Place{},
               Place{}, Place{}, Lowering::data(buffer_)},
              p, {.x = width_});
    return true;
  }

 private:
  const float* table_;
  int64_t rows_;
  int64_t width_;
  int buffer_;
};

class Previous : public Op {
 public:
  Previous(int input, int output, int64_t width, int64_t from, int64_t to)
      : input_(input), output_(output), width_(width), from_(from), to_(to) {
    reads = {input};
    writes = {output};
  }

  void run(const Execution& e) const override {
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    const size_t bytes = static_cast<size_t>(width_) * sizeof(float);
    e.spread(e.batch.tokens(), kGrainTokens, [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; ++row) {
        float* target = out.f32() + row * out.stride + to_;
        if (e.positions[row] == 0) {
          std::memset(target, 0, bytes);
        } else {
          std::memcpy(target, in.f32() + (row - 1) * in.stride + from_, bytes);
        }
      }
    });
  }

  std::vector<std::string> kernels() const override { return {}; }

  bool lower(Lowering& to) const override {
    device::CopyParameters p = {};
    p.width = Lowering::word(width_);
    p.in_stride = to.stride(input_);
    p.out_stride = to.stride(output_);
    p.count = 1;
    p.from_first = Lowering::word(from_);
    p.to_first = Lowering::word(to_);
    to.launch("previous",
              {Lowering::data(input_), Lowering::of(Place::Kind::kPositions), Lowering::data(output_)}, p,
              {.x = width_});
    return true;
  }

 private:
  int input_;
  int output_;
  int64_t width_;
  int64_t from_;
  int64_t to_;
};

}  // namespace

void add_positions(Plan& plan, int buffer, const float* table, int64_t rows) {
  plan.expect(buffer, BufferType::kF32, -1, "positions");
  if (table == nullptr || rows < plan.limits().max_length) {
    fail(ErrorKind::kWeight, "a table of ", rows, " positions; sequences have up to ",
         plan.limits().max_length);
  }
  plan.add_op(std::make_unique<Positions>(table, rows, plan.columns(buffer), buffer));
}

void add_previous(Plan& plan, int input, int output, int64_t width, int64_t from, int64_t to) {
  check_columns(plan, input, width, 1, {.first = from}, "input of previous rows");
  check_columns(plan, output, width, 1, {.first = to}, "output of previous rows");
  if (input == output)
    fail(ErrorKind::kInvalidArgument, "previous rows cannot be written where they are read");
  plan.add_op(std::make_unique<Previous>(input, output, width, from, to));
}

}  // namespace arrowmind::runtime

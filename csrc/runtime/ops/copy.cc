#include "runtime/ops/copy.h"

#include <cstring>

#include "base/error.h"
#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kGrainTokens = 64;

class Copy : public Op {
 public:
  Copy(int input, int output, int64_t width, int64_t count, Columns from, Columns to)
      : input_(input), output_(output), width_(width), count_(count), from_(from), to_(to) {
    if (input >= 0) reads = {input};
    writes = {output};
  }

  void run(const Execution& e) const override {
    e.spread(e.batch.tokens(), kGrainTokens, [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; ++row) copy_row(e, row);
    });
  }

  std::vector<std::string> kernels() const override { return {}; }

  bool lower(Lowering& to) const override {
    device::CopyParameters p = {};
    p.width = Lowering::word(width_);
    p.count = Lowering::word(count_);
    p.in_stride = input_ < 0 ? 0 : to.stride(input_);
    p.out_stride = to.stride(output_);
    p.from_first = Lowering::word(from_.first);
    p.from_step = Lowering::word(from_.step);
    p.to_first = Lowering::word(to_.first);
    p.to_step = Lowering::word(to_.step);
    const Place out = Lowering::data(output_);
    to.launch(input_ < 0 ? "clear" : "copy", {input_ < 0 ? out : Lowering::data(input_), out}, p,
              {.x = width_, .z = count_});
    return true;
  }

 private:
  void copy_row(const Execution& e, int64_t row) const {
    const size_t bytes = static_cast<size_t>(width_) * sizeof(float);
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    float* target = out.f32() + row * out.stride + to_.first;
    if (input_ < 0) {
      for (int64_t i = 0; i < count_; ++i) std::memset(target + i * to_.step, 0, bytes);
      return;
    }
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const float* source = in.f32() + row * in.stride + from_.first;
    for (int64_t i = 0; i < count_; ++i) std::memcpy(target + i * to_.step, source + i * from_.step, bytes);
  }

  int input_;
  int output_;
  int64_t width_;
  int64_t count_;
  Columns from_;
  Columns to_;
};

}  // namespace

void check_columns(const Plan& plan, int buffer, int64_t width, int64_t count, Columns columns,
                   const char* what) {
  plan.expect(buffer, BufferType::kF32, -1, what);
  const int64_t size = plan.columns(buffer);
  const bool fits = width >= 1 && width <= size && count >= 1 && count <= size && columns.first >= 0 &&
                    columns.first <= size && columns.step >= 0 && columns.step <= size &&
                    columns.first + (count - 1) * columns.step + width <= size;
  if (!fits) {
    fail(ErrorKind::kWeight, what, ": ", count, " pieces of ", width, " columns, ", columns.step,
         " apart from ", columns.first, " on, do not fit a buffer of ", size);
  }
}

void add_copy(Plan& plan, int input, int output, int64_t width, int64_t count, Columns from, Columns to) {
  check_columns(plan, input, width, count, from, "copy input");
  check_columns(plan, output, width, count, to, "copy output");
  plan.add_op(std::make_unique<Copy>(input, output, width, count, from, to));
}

void add_clear(Plan& plan, int output, int64_t width, int64_t count, Columns to) {
  check_columns(plan, output, width, count, to, "cleared columns");
  plan.add_op(std::make_unique<Copy>(-1, output, width, count, Columns{}, to));
}

}  // namespace arrowmind::runtime

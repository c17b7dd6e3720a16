#include "runtime/ops/pool.h"

#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kGrainSequences = 8;

class Pool : public Op {
 public:
  Pool(pool::Mode mode, int64_t width, int input)
      : kernel_(pool::select()), mode_(mode), width_(width), input_(input) {
    reads = {input};
  }

  void run(const Execution& e) const override {
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    e.spread(e.batch.sequences, kGrainSequences, [&](int64_t begin, int64_t end, int) {
      pool::Params p;
      p.x = in.f32();
      p.x_stride = in.stride;
      p.width = width_;
      p.offsets = e.batch.offsets;
      p.mode = mode_;
      p.normalise = e.normalise;
      p.out = e.output;
      p.out_stride = width_;
      p.begin = begin;
      p.end = end;
      kernel_.run(p);
    });
  }

  std::vector<std::string> kernels() const override { return {std::string(kernel_.row.name)}; }

  bool lower(Lowering& to) const override {
    device::PoolParameters p = {};
    p.width = Lowering::word(width_);
    p.x_stride = to.stride(input_);
    p.mode = mode_ == pool::Mode::kMean    ? device::kPoolMean
             : mode_ == pool::Mode::kFirst ? device::kPoolFirst
                                           : device::kPoolLast;
    to.launch(
          "pool",
          {Lowering::data(input_), Lowering::of(Place::Kind::kOffsets), Lowering::of(Place::Kind::kOutput)},
          p, {.per_sequence = true})
        .normalises = true;
    return true;
  }

 private:
  const pool::Row& kernel_;
  pool::Mode mode_;
  int64_t width_;
  int input_;
};

}  // namespace

void add_pool(Plan& plan, int input, pool::Mode mode) {
  plan.expect(input, BufferType::kF32, plan.limits().output_columns, "pool input");
  plan.add_op(std::make_unique<Pool>(mode, plan.columns(input), input));
}

}  // namespace arrowmind::runtime

#include "runtime/ops/rope.h"

#include "base/error.h"
#include "kernels/rope/rope.h"
#include "kernels/rope/turns.h"
#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {
namespace {

constexpr int64_t kGrainTokens = 64;

class Turns : public Op {
 public:
  Turns(const float* frequencies, int64_t count, float factor, int output, int64_t exact_from)
      : frequencies_(frequencies), count_(count), factor_(factor), output_(output), exact_from_(exact_from) {
    writes = {output};
  }

  void run(const Execution& e) const override {
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    e.spread(e.batch.tokens(), kGrainTokens, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t) {
        float* cosines = out.f32() + t * out.stride;
        rope::fill_turns(e.positions[t], frequencies_, count_, factor_, cosines, cosines + count_,
                         exact_from_);
      }
    });
  }

  std::vector<std::string> kernels() const override { return {}; }

  // Angles are a matter of the host: exact for every position, and few.
  bool lower(Lowering& to) const override {
    to.fill(output_, [*this](const int32_t* positions, int64_t rows, float* out) {
      for (int64_t t = 0; t < rows; ++t, out += 2 * count_) {
        rope::fill_turns(positions[t], frequencies_, count_, factor_, out, out + count_, exact_from_);
      }
    });
    return true;
  }

 private:
  const float* frequencies_;
  int64_t count_;
  float factor_;
  int output_;
  int64_t exact_from_;
};

class Rope : public Op {
 public:
  Rope(const Pieces& heads, int64_t rotated, bool interleaved, int buffer, int turns)
      : kernel_(rope::select()), first_(heads.first), buffer_(buffer), turns_(turns) {
    params_.heads = heads.count;
    params_.head_dim = heads.width;
    params_.rotated = rotated;
    params_.interleaved = interleaved;
    reads = {buffer, turns};
    writes = {buffer};
  }

  void run(const Execution& e) const override {
    const Slot& x = e.slots[static_cast<size_t>(buffer_)];
    const Slot& turns = e.slots[static_cast<size_t>(turns_)];
    e.spread(e.batch.tokens(), kGrainTokens, [&](int64_t begin, int64_t end, int) {
      rope::Params p = params_;
      p.x = x.f32() + first_;
      p.x_stride = x.stride;
      p.turns = turns.f32();
      p.turns_stride = turns.stride;
      p.begin = begin;
      p.end = end;
      kernel_.run(p);
    });
  }

  std::vector<std::string> kernels() const override { return {std::string(kernel_.row.name)}; }

  bool lower(Lowering& to) const override {
    device::RopeParameters p = {};
    p.x_stride = to.stride(buffer_);
    p.first = Lowering::word(first_);
    p.heads = Lowering::word(params_.heads);
    p.head_dim = Lowering::word(params_.head_dim);
    p.rotated = Lowering::word(params_.rotated);
    p.turns_stride = to.stride(turns_);
    p.flags = params_.interleaved ? device::kInterleaved : 0u;
    to.launch("rope", {Lowering::data(buffer_), Lowering::data(turns_)}, p,
              {.x = params_.rotated / 2, .z = params_.heads});
    return true;
  }

 private:
  const rope::Row& kernel_;
  rope::Params params_;
  int64_t first_;
  int buffer_;
  int turns_;
};

}  // namespace

void add_turns(Plan& plan, int output, const float* frequencies, float factor) {
  plan.expect(output, BufferType::kF32, -1, "turns");
  plan.add_op(std::make_unique<Turns>(frequencies, plan.columns(output) / 2, factor, output,
                                      plan.limits().max_length));
}

void add_rope(Plan& plan, int buffer, int turns, const Pieces& heads, bool interleaved) {
  plan.expect(buffer, BufferType::kF32, -1, "rope");
  plan.expect(turns, BufferType::kF32, -1, "rope turns");
  const int64_t rotated = plan.columns(turns);
  const int64_t columns = plan.columns(buffer);
  if (heads.first < 0 || heads.count < 1 || rotated % 2 != 0 || heads.width < rotated ||
      heads.count > columns || heads.first > columns - (heads.count - 1) * heads.width - rotated) {
    fail(ErrorKind::kWeight, "rope: ", heads.count, " heads of ", heads.width, " columns from ", heads.first,
         " and ", rotated, " turned ones do not fit a buffer of ", columns);
  }
  plan.add_op(std::make_unique<Rope>(heads, rotated, interleaved, buffer, turns));
}

}  // namespace arrowmind::runtime

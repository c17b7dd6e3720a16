#include "runtime/ops/attention.h"

#include <cmath>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "kernels/attention/attention.h"

namespace arrowmind::runtime {
namespace {

// One head of one sequence is one item; fewer than this many are not worth a barrier.
constexpr int64_t kGrainItems = 2;

int64_t longest(const Batch& batch) {
  int64_t most = 0;
  for (int64_t s = 0; s < batch.sequences; ++s)
    most = std::max<int64_t>(most, batch.offsets[s + 1] - batch.offsets[s]);
  return most;
}

// Scratch of the calling thread, kept for its next call.
void* thread_scratch(int64_t bytes) {
  thread_local AlignedBuffer buffer;
  buffer.resize(bytes);
  return buffer.as<void>();
}

class Attention : public Op {
 public:
  Attention(int64_t heads, int64_t head_dim, int input, int output)
      : kernel_(attention::select()), heads_(heads), head_dim_(head_dim), input_(input), output_(output) {
    reads = {input};
    writes = {output};
  }

  void run(const Execution& e) const override {
    const int64_t scratch_bytes = attention::scratch_bytes(longest(e.batch), head_dim_);
    e.spread(e.batch.sequences * heads_, kGrainItems, [&](int64_t begin, int64_t end, int) {
      attention::Params p = params(e);
      p.begin = begin;
      p.end = end;
      p.scratch = thread_scratch(scratch_bytes);
      kernel_.run(p);
    });
  }

  std::vector<std::string> kernels() const override { return {std::string(kernel_.row.name)}; }

 private:
  attention::Params params(const Execution& e) const {
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    attention::Params p;
    p.q = in.f32();
    p.k = p.q + heads_ * head_dim_;
    p.v = p.k + heads_ * head_dim_;
    p.qkv_stride = in.stride;
    p.offsets = e.batch.offsets;
    p.heads = heads_;
    p.head_dim = head_dim_;
    p.scale = 1.0f / std::sqrt(static_cast<float>(head_dim_));
    p.out = out.f32();
    p.out_stride = out.stride;
    return p;
  }

  const attention::Row& kernel_;
  int64_t heads_;
  int64_t head_dim_;
  int input_;
  int output_;
};

}  // namespace

void add_attention(Plan& plan, int input, int output, int64_t heads) {
  plan.expect(output, BufferType::kF32, -1, "attention output");
  const int64_t columns = plan.columns(output);
  plan.expect(input, BufferType::kF32, 3 * columns, "attention input");
  if (heads < 1 || columns % heads != 0) {
    fail(ErrorKind::kInvalidArgument, "attention: ", heads, " heads do not divide ", columns, " columns");
  }
  plan.add_op(std::make_unique<Attention>(heads, columns / heads, input, output));
}

}  // namespace arrowmind::runtime

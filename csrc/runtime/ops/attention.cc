#include "runtime/ops/attention.h"

#include <cmath>
#include <optional>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "kernels/attention/attention.h"
#include "runtime/on_device/lowering.h"
#include "runtime/ops/cached_attention.h"

namespace arrowmind::runtime {
namespace {

// One head of keys of one sequence is one item; fewer than this many are not worth a barrier.
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
  Attention(const AttentionOptions& options, int64_t head_dim, int input, int output)
      : kernel_(attention::select()), input_(input), output_(output) {
    params_.heads = options.heads;
    params_.key_heads = options.key_heads;
    params_.head_dim = head_dim;
    params_.scale = options.scale > 0 ? options.scale : 1.0f / std::sqrt(static_cast<float>(head_dim));
    params_.causal = options.causal;
    params_.window = options.window;
    params_.cap = options.cap;
    if (options.layer >= 0) cached_.emplace(cached_form(), params_.key_heads, options.layer);
    reads = {input};
    writes = {output};
  }

  void run(const Execution& e) const override {
    if (e.cache != nullptr) return run_cached(e);
    const int64_t scratch_bytes = attention::scratch_bytes(longest(e.batch), params_.head_dim);
    e.spread(e.batch.sequences * params_.key_heads, kGrainItems, [&](int64_t begin, int64_t end, int) {
      attention::Params p = params(e);
      p.begin = begin;
      p.end = end;
      p.scratch = thread_scratch(scratch_bytes);
      kernel_.run(p);
    });
  }

  std::vector<std::string> kernels() const override {
    std::vector<std::string> names = {std::string(kernel_.row.name)};
    if (cached_) names.push_back(cached_->kernel());
    return names;
  }

  bool lower(Lowering& to) const override {
    device::AttentionParameters p = {};
    p.heads = Lowering::word(params_.heads);
    p.key_heads = Lowering::word(params_.key_heads);
    p.head_dim = Lowering::word(params_.head_dim);
    p.in_stride = to.stride(input_);
    p.out_stride = to.stride(output_);
    p.flags = params_.causal ? device::kCausal : 0u;
    p.window = Lowering::word(params_.window);
    p.scale = params_.scale;
    p.cap = params_.cap;
    Step& plain = to.launch("attention",
                            {Lowering::data(input_), Lowering::of(Place::Kind::kOffsets),
                             Lowering::of(Place::Kind::kSequenceOf), Lowering::data(output_)},
                            p, {.z = params_.heads});
    if (!cached_) return true;
    plain.when = When::kPlain;
    cached_->lower(to, input_, output_);
    return true;
  }

 private:
  cached_attention::Attend cached_form() const {
    cached_attention::Attend form;
    form.group = params_.heads / params_.key_heads;
    form.head_dim = params_.head_dim;
    form.scale = params_.scale;
    form.window = params_.window;
    form.cap = params_.cap;
    return form;
  }

  void run_cached(const Execution& e) const {
    if (!cached_) {
      fail(ErrorKind::kInvalidArgument, "a forward over a cache meets attention that is no layer of one");
    }
    cached_->run(e, e.slots[static_cast<size_t>(input_)], e.slots[static_cast<size_t>(output_)]);
  }

  attention::Params params(const Execution& e) const {
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    attention::Params p = params_;
    p.q = in.f32();
    p.k = p.q + p.heads * p.head_dim;
    p.v = p.k + p.key_heads * p.head_dim;
    p.qkv_stride = in.stride;
    p.offsets = e.batch.offsets;
    p.out = out.f32();
    p.out_stride = out.stride;
    return p;
  }

  const attention::Row& kernel_;
  attention::Params params_;  // everything but the rows
  std::optional<CachedAttention> cached_;
  int input_;
  int output_;
};

}  // namespace

void add_attention(Plan& plan, int input, int output, const AttentionOptions& options) {
  plan.expect(output, BufferType::kF32, -1, "attention output");
  const int64_t columns = plan.columns(output);
  if (options.heads < 1 || columns % options.heads != 0) {
    fail(ErrorKind::kInvalidArgument, "attention: ", options.heads, " heads do not divide ", columns,
         " columns");
  }
  if (options.key_heads < 1 || options.heads % options.key_heads != 0) {
    fail(ErrorKind::kInvalidArgument, "attention: ", options.key_heads, " heads of keys do not divide ",
         options.heads, " heads");
  }
  if (options.window < 0 || (options.window > 0 && !options.causal)) {
    fail(ErrorKind::kInvalidArgument, "attention: a window of ", options.window,
         "; windows are at least 1, and causal");
  }
  if (options.layer >= 0 && !options.causal) {
    fail(ErrorKind::kInvalidArgument, "attention: layer ", options.layer, " of a cache must be causal");
  }
  const int64_t head_dim = columns / options.heads;
  plan.expect(input, BufferType::kF32, columns + 2 * options.key_heads * head_dim, "attention input");
  plan.add_op(std::make_unique<Attention>(options, head_dim, input, output));
}

}  // namespace arrowmind::runtime

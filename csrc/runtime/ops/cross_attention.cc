#include "runtime/ops/cross_attention.h"

#include <cmath>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "kernels/cross_attention/cross_attention.h"
#include "runtime/on_device/lowering.h"

namespace arrowmind::runtime {
namespace {

// Multiply-adds below which a part is not worth a barrier.
constexpr int64_t kGrain = 1 << 16;

// Scratch of the calling thread, kept for its next call.
void* thread_scratch(int64_t bytes) {
  thread_local AlignedBuffer buffer;
  buffer.resize(bytes);
  return buffer.as<void>();
}

class CrossAttention : public Op {
 public:
  CrossAttention(const CrossAttentionOptions& options, int64_t width, int input, int output)
      : kernel_(cross_attention::select()), options_(options), width_(width), input_(input), output_(output) {
    params_.heads = options.heads;
    params_.head_dim = width / options.heads;
    params_.scale =
        options.scale > 0 ? options.scale : 1.0f / std::sqrt(static_cast<float>(params_.head_dim));
    reads = {input};
    writes = {output};
  }

  void run(const Execution& e) const override {
    for (int64_t s = 0; s < e.batch.sequences; ++s) run_sequence(e, s);
  }

  std::vector<std::string> kernels() const override { return {std::string(kernel_.row.name)}; }

  bool lower(Lowering& to) const override {
    device::CrossAttentionParameters p = {};
    p.heads = Lowering::word(params_.heads);
    p.head_dim = Lowering::word(params_.head_dim);
    p.q_stride = to.stride(input_);
    p.out_stride = to.stride(output_);
    p.keys = Lowering::word(options_.keys);
    p.values = Lowering::word(options_.values);
    p.scale = params_.scale;
    using Kind = Place::Kind;
    Step& step =
        to.launch("cross_attention",
                  {Lowering::data(input_), Lowering::of(Kind::kLooked), Lowering::of(Kind::kLookedOffsets),
                   Lowering::of(Kind::kSequenceOf), Lowering::data(output_)},
                  p, {.z = params_.heads});
    step.looked_columns = least_columns();
    return true;
  }

 private:
  int64_t least_columns() const { return std::max(options_.keys, options_.values) + width_; }

  void run_sequence(const Execution& e, int64_t s) const {
    cross_attention::Params p = params_;
    const int32_t first = look(e, s, p);
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    const int64_t begin_row = e.batch.offsets[s], rows = e.batch.offsets[s + 1] - begin_row;
    p.q = in.f32() + begin_row * in.stride;
    p.q_stride = in.stride;
    p.k = e.memory->rows + first * e.memory->columns + options_.keys;
    p.v = e.memory->rows + first * e.memory->columns + options_.values;
    p.kv_stride = e.memory->columns;
    p.out = out.f32() + begin_row * out.stride;
    p.out_stride = out.stride;
    e.spread(rows * p.heads, std::max<int64_t>(1, kGrain / (2 * p.keys * p.head_dim)),
             [&](int64_t begin, int64_t end, int) {
               cross_attention::Params part = p;
               part.begin = begin;
               part.end = end;
               part.scratch = thread_scratch(cross_attention::scratch_bytes(p.keys));
               kernel_.run(part);
             });
  }

  // The first row that sequence `s` looks at; how many go to `p`.
  int32_t look(const Execution& e, int64_t s, cross_attention::Params& p) const {
    if (e.memory == nullptr) {
      fail(ErrorKind::kInvalidArgument, "cross attention: this forward was given nothing to look at");
    }
    const int64_t end = least_columns();
    if (e.memory->columns < end) {
      fail(ErrorKind::kInvalidArgument, "cross attention: rows of ", e.memory->columns, " columns; ", end,
           " are needed");
    }
    const int32_t* offsets = e.memory->offsets + e.first_sequence + s;
    p.keys = offsets[1] - offsets[0];
    return offsets[0];
  }

  const cross_attention::Row& kernel_;
  cross_attention::Params params_;  // everything but the rows
  CrossAttentionOptions options_;
  int64_t width_;
  int input_;
  int output_;
};

}  // namespace

void add_cross_attention(Plan& plan, int input, int output, const CrossAttentionOptions& options) {
  plan.expect(output, BufferType::kF32, -1, "cross attention output");
  const int64_t columns = plan.columns(output);
  plan.expect(input, BufferType::kF32, columns, "cross attention input");
  if (options.heads < 1 || columns % options.heads != 0) {
    fail(ErrorKind::kInvalidArgument, "cross attention: ", options.heads, " heads do not divide ", columns,
         " columns");
  }
  constexpr int64_t kMostColumns = 1 << 24;
  if (options.keys < 0 || options.values < 0 || options.keys > kMostColumns ||
      options.values > kMostColumns) {
    fail(ErrorKind::kInvalidArgument, "cross attention: keys from column ", options.keys, ", values from ",
         options.values, "; columns are 0 to ", kMostColumns);
  }
  plan.add_op(std::make_unique<CrossAttention>(options, columns, input, output));
}

}  // namespace arrowmind::runtime

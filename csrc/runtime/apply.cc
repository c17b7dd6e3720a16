#include "runtime/apply.h"

#include <algorithm>

#include "base/checked.h"
#include "kernels/quantise/quantise.h"

namespace arrowmind::runtime {
namespace {

using qmatmul::Activation;

// Rows of one task. Each task reads all weights once, so that more rows cost fewer bytes per row, and fewer
// rows leave less to wait for at the end.
constexpr int64_t kMinTaskRows = 32;
constexpr int64_t kMaxTaskRows = 256;
// Multiply-adds below which a part is not worth another thread. Calls come one by one, so that the others
// sleep when work arrives, and take 50 us to wake: more than in a plan, whose operators follow each other.
// Products in float32 take several times as long.
constexpr int64_t kGrain = 1 << 21;
constexpr int64_t kFloatGrain = 1 << 18;

// Rows in the form in which they meet the weights, in memory of this thread.
class Form {
 public:
  explicit Form(const Application& layer) : layer_(layer), width_(layer.weights.k) {
    if (layer.activation == BufferType::kI8Block) {
      const int64_t group = layer.weights.grid.group;
      stride_ = round_up(width_, grid::block_of(group));
      scales_ = stride_ / grid::block_of(group);
      sums_ = stride_ / grid::part_of(group);
    } else if (layer.activation != BufferType::kF32) {
      stride_ = round_up(width_, qmatmul::kQuad);
    }
  }

  Slot of(const float* x, int64_t rows) const {
    if (layer_.activation != BufferType::kF32) return codes(x, rows);
    // qmatmul reads its activations only.
    if (layer_.multiplier == nullptr) return {.data = const_cast<float*>(x), .stride = width_};
    thread_local AlignedBuffer memory;
    memory.resize(rows * width_ * 4);
    float* scaled = memory.as<float>();
    for (int64_t m = 0; m < rows; ++m) {
      for (int64_t k = 0; k < width_; ++k) scaled[m * width_ + k] = x[m * width_ + k] * layer_.multiplier[k];
    }
    return {.data = scaled, .stride = width_};
  }

 private:
  Slot codes(const float* x, int64_t rows) const {
    thread_local AlignedBuffer memory;
    const int64_t data = round_up(rows * stride_ * bytes_of(layer_.activation), AlignedBuffer::kAlignment);
    memory.resize(data + 4 * rows * (scales_ + sums_ + 1));
    char* place = memory.as<char>();
    Slot slot{.data = place, .stride = stride_};
    slot.scale = reinterpret_cast<float*>(place += data);
    slot.sum = reinterpret_cast<int32_t*>(place += 4 * rows * scales_);
    place += 4 * rows * sums_;
    if (layer_.activation == BufferType::kI8) slot.zero = reinterpret_cast<int32_t*>(place);
    quantise::Params p;
    p.x = x;
    p.x_stride = p.width = width_;
    p.multiplier = layer_.multiplier;
    p.end = rows;
    p.out = {.codes = slot.data,
             .stride = stride_,
             .scale = slot.scale,
             .sum = slot.sum,
             .zero = slot.zero,
             .block = grid::block_of(layer_.weights.grid.group),
             .part = grid::part_of(layer_.weights.grid.group),
             .limit = qmatmul::activation_limit(width_)};
    quantise::select(code_of(layer_.activation)).run(p);
    return slot;
  }

  static quantise::Code code_of(BufferType type) {
    return type == BufferType::kI8    ? quantise::Code::kI8
           : type == BufferType::kI16 ? quantise::Code::kI16
                                      : quantise::Code::kI8Block;
  }

  const Application& layer_;
  int64_t width_;
  int64_t stride_ = 0;
  int64_t scales_ = 1, sums_ = 1;  // of a row
};

qmatmul::Params params_of(const LinearWeights& w) {
  qmatmul::Params p;
  p.n = w.n;
  p.k = w.k;
  p.w = w.packed;
  p.w_scale = w.scale;
  p.w_zero = w.zero;
  p.w_sum = w.sum;
  p.grid = w.grid;
  p.bias = w.bias;
  p.c_stride = w.n;
  return p;
}

void run_part(const qmatmul::Row& kernel, qmatmul::Params p, const Slot& in, float* out, Range outputs) {
  p.a = in.data;
  p.a_stride = in.stride;
  p.a_scale = in.scale;
  p.a_zero = in.zero;
  p.a_sum = in.sum;
  p.c = out;
  p.n_begin = outputs.begin;
  p.n_end = std::min(p.n, outputs.end);
  kernel.run(p);
}

}  // namespace

void apply_linear(const Application& layer, const float* x, int64_t rows, float* out,
                  const Threads& threads) {
  const LinearWeights& w = layer.weights;
  check_linear(w, w.k, layer.activation);
  if (rows == 0) return;
  const Form form(layer);
  qmatmul::Params p = params_of(w);
  const int64_t panels = ceil_div(w.n, qmatmul::kPanel);
  const int64_t grain = layer.activation == BufferType::kF32 ? kFloatGrain : kGrain;
  const int64_t parts =
      std::clamp<int64_t>(rows * w.n * w.k / grain, 1, std::min<int64_t>(panels, 4 * threads.count));
  if (parts > 1 && rows >= kMinTaskRows * threads.count) {
    const int64_t size =
        std::clamp<int64_t>(ceil_div(rows, int64_t{2} * threads.count), kMinTaskRows, kMaxTaskRows);
    threads.run(ceil_div(rows, size), [&](int64_t task, int) {
      const int64_t begin = task * size;
      qmatmul::Params part = p;
      part.m = std::min(size, rows - begin);
      const qmatmul::Row& kernel = select_linear(w, layer.activation, part.m, layer.bound);
      run_part(kernel, part, form.of(x + begin * w.k, part.m), out + begin * w.n, {0, w.n});
    });
    return;
  }
  p.m = rows;
  const qmatmul::Row& kernel = select_linear(w, layer.activation, rows, layer.bound);
  const Slot in = form.of(x, rows);
  threads.run(parts, [&](int64_t part, int) {
    run_part(kernel, p, in, out,
             {panels * part / parts * qmatmul::kPanel, panels * (part + 1) / parts * qmatmul::kPanel});
  });
}

}  // namespace arrowmind::runtime

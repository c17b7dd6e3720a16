#include "runtime/ops/head_linear.h"

#include <array>

#include "base/checked.h"
#include "base/error.h"
#include "runtime/on_device/linear_step.h"

namespace arrowmind::runtime {
namespace {

// Kernels are chosen for each number of rows up to this one; more rows choose the same.
constexpr int64_t kChoices = 65;
// Multiply-adds below which a part is not worth a barrier.
constexpr int64_t kGrain = 1 << 18;

class HeadLinear : public Op {
 public:
  HeadLinear(std::vector<LinearWeights> heads, int input, int output, Columns from, Columns to)
      : heads_(std::move(heads)),
        panels_(ceil_div(heads_.front().n, qmatmul::kPanel)),
        input_(input),
        output_(output),
        from_(from),
        to_(to) {
    for (int64_t m = 1; m < kChoices; ++m) {
      choice_[static_cast<size_t>(m)] =
          &select_linear(heads_.front(), BufferType::kF32, m, qmatmul::Bound::kNone);
    }
    choice_[0] = choice_[1];
    reads = {input_};
    writes = {output_};
  }

  void run(const Execution& e) const override {
    const int64_t parts = panels_ * static_cast<int64_t>(heads_.size());
    const int64_t work = e.batch.tokens() * heads_.front().n * heads_.front().k;  // of a head
    const int64_t grain = std::max<int64_t>(1, panels_ * kGrain / std::max<int64_t>(work, 1));
    e.spread(parts, grain, [&](int64_t begin, int64_t end, int) {
      while (begin < end) {
        const int64_t head = begin / panels_, first = begin % panels_;
        const int64_t last = std::min(panels_, first + end - begin);
        run_head(e, head, first, last);
        begin += last - first;
      }
    });
  }

  std::vector<std::string> kernels() const override {
    std::vector<std::string> names;
    for (const qmatmul::Row* row : choice_) names.emplace_back(row->row.name);
    return names;
  }

  // Kernels read rows from their first column on: each head's are brought there.
  bool lower(Lowering& to) const override {
    const int64_t k = heads_.front().k;
    const Place piece = to.spare(0, 4 * k);
    for (size_t head = 0; head < heads_.size(); ++head) {
      const auto h = static_cast<int64_t>(head);
      device::CopyParameters p = {};
      p.width = Lowering::word(k);
      p.count = 1;
      p.in_stride = to.stride(input_);
      p.out_stride = p.width;
      p.from_first = Lowering::word(from_.first + h * from_.step);
      to.launch("copy", {Lowering::data(input_), piece}, p, {.x = k});
      const qmatmul::Params params = params_of(heads_[head]);
      const LinearStep step{.params = &params,
                            .weight = heads_[head].type,
                            .input = {.type = BufferType::kF32,
                                      .stride = k,
                                      .group = 0,
                                      .data = piece,
                                      .scale = {},
                                      .sum = {},
                                      .zero = {}},
                            .output = Lowering::data(output_),
                            .output_stride = to.stride(output_),
                            .residual = -1,
                            .first_column = to_.first + h * to_.step};
      if (!to.can_read(heads_[head].streamed) || !launch_linear(to, step)) return false;
    }
    return true;
  }

 private:
  void run_head(const Execution& e, int64_t head, int64_t first, int64_t last) const {
    const LinearWeights& w = heads_[static_cast<size_t>(head)];
    const Slot& in = e.slots[static_cast<size_t>(input_)];
    const Slot& out = e.slots[static_cast<size_t>(output_)];
    qmatmul::Params p;
    p.m = e.batch.tokens();
    p.n = w.n;
    p.k = w.k;
    p.a = in.f32() + from_.first + head * from_.step;
    p.a_stride = in.stride;
    p.w = w.packed;
    p.w_scale = w.scale;
    p.w_zero = w.zero;
    p.grid = w.grid;
    p.c = out.f32() + to_.first + head * to_.step;
    p.c_stride = out.stride;
    p.n_begin = first * qmatmul::kPanel;
    p.n_end = std::min(p.n, last * qmatmul::kPanel);
    choice_[static_cast<size_t>(std::min(p.m, kChoices - 1))]->run(p);
  }

  std::vector<LinearWeights> heads_;
  std::array<const qmatmul::Row*, kChoices> choice_;
  int64_t panels_;
  int input_, output_;
  Columns from_, to_;
};

}  // namespace

void add_head_linear(Plan& plan, const std::vector<LinearWeights>& heads, int input, int output, Columns from,
                     Columns to) {
  if (heads.empty())
    fail(ErrorKind::kInvalidArgument, "matrices of heads: there are none; give one at least");
  const int64_t count = static_cast<int64_t>(heads.size());
  for (const LinearWeights& head : heads) {
    check_linear(head, heads.front().k, BufferType::kF32);
    if (head.type != heads.front().type || head.n != heads.front().n) {
      fail(ErrorKind::kWeight, "matrices of heads are of one type and shape; here are [", heads.front().n,
           ", ", heads.front().k, "] and [", head.n, ", ", head.k, "]");
    }
  }
  check_columns(plan, input, heads.front().k, count, from, "input of heads");
  check_columns(plan, output, heads.front().n, count, to, "output of heads");
  if (input == output) fail(ErrorKind::kInvalidArgument, "matrices of heads cannot write where they read");
  plan.add_op(std::make_unique<HeadLinear>(heads, input, output, from, to));
}

}  // namespace arrowmind::runtime

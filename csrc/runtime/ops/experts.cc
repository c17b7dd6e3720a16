#include "runtime/ops/experts.h"

#include "base/checked.h"
#include "base/error.h"
#include "runtime/on_device/experts_step.h"
#include "runtime/on_device/grouped_experts_step.h"
#include "runtime/ops/expert_kernels.h"
#include "runtime/ops/guess.h"
#include "runtime/ops/routed_rows.h"
#include "runtime/ops/row_form.h"

namespace arrowmind::runtime {
namespace {

// What is not worth a barrier: multiply-adds of a product, values that are moved or bent.
constexpr int64_t kGrain = 1 << 18;
constexpr int64_t kGrainValues = 1 << 14;

// Experts that are held, and lets go of them.
class Held {
 public:
  Held(ExpertSource& source, std::span<const int32_t> wanted, const ExpertWeights** table)
      : source_(source), table_(table) {
    ids_ = wanted.first(source.acquire(wanted, table));
  }
  ~Held() { source_.release(ids_); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  std::span<const int32_t> ids() const { return ids_; }
  const ExpertWeights& weights(size_t i) const { return *table_[i]; }

 private:
  ExpertSource& source_;
  const ExpertWeights** table_;
  std::span<const int32_t> ids_;
};

struct Shape {
  int64_t hidden, inner, top, guessed_top;
};

class Experts : public Op {
 public:
  Experts(std::shared_ptr<ExpertSource> source, const ExpertsOptions& options, const Shape& shape,
          const RowForm& outer, const ExpertsScratch& scratch)
      : source_(std::move(source)),
        options_(options),
        shape_(shape),
        outer_(outer),
        inner_(options.inner, shape.inner, options.inner_group),
        scratch_(scratch),
        activate_(activate::select()) {
    for (int64_t i = 0; i < source_->experts(); ++i) {
      const ExpertWeights& expert = source_->description(i);
      outer_kernels_.add(expert.gate, outer_.type);
      outer_kernels_.add(expert.up, outer_.type);
      inner_kernels_.add(expert.down, inner_.type);
    }
    reads = {options.input, options.route};
    if (options.residual >= 0) reads.push_back(options.residual);
    if (options.guess >= 0) reads.push_back(options.guess);
    writes = {options.output, scratch.lists, scratch.gathered, scratch.between, scratch.results};
    if (scratch.codes >= 0) writes.push_back(scratch.codes);
  }

  void run(const Execution& e) const override {
    RoutedRows sorted = sort(e);
    if (e.elsewhere != nullptr) {
      const size_t left = e.elsewhere->begin({sorted.top, sorted.starts, sorted.order}, sorted.active);
      sorted.active = sorted.active.first(left);
      if (left == 0) expect_next(e);
    }
    for (size_t done = 0; done < sorted.active.size();) {
      const Held held(*source_, sorted.active.subspan(done), sorted.table);
      if (done + held.ids().size() == sorted.active.size()) expect_next(e);
      if (e.elsewhere != nullptr) e.elsewhere->acquired(held.ids());
      feed(e, sorted, held);
      done += held.ids().size();
    }
    if (e.elsewhere != nullptr) e.elsewhere->finish(memory(e, scratch_.results));
    add_up(e, sorted);
  }

  std::vector<std::string> kernels() const override {
    std::vector<std::string> names;
    outer_kernels_.name(names);
    names.emplace_back(activate_.row.name);
    if (inner_.coder != nullptr) names.emplace_back(inner_.coder->row.name);
    inner_kernels_.name(names);
    return names;
  }

  bool lower(Lowering& to) const override {
    if (!to.leaves_experts()) {
      return lower_grouped_experts(to, *source_, options_, outer_, inner_, scratch_) ||
             lower_experts(to, *source_, options_, outer_, inner_);
    }
    std::vector<int> given = {options_.input, options_.route};
    if (options_.residual >= 0) given.push_back(options_.residual);
    if (options_.guess >= 0) given.push_back(options_.guess);
    to.run_here(*this, std::move(given), {options_.output});
    return !to.caches_experts() || lower_single_experts(to, *source_, options_, outer_, inner_);
  }

 private:
  float* memory(const Execution& e, int buffer) const { return e.slots[static_cast<size_t>(buffer)].f32(); }

  // Once nothing of this feed-forward is left to ask for, what the next one may want is read meanwhile.
  void expect_next(const Execution& e) const {
    if (options_.guess < 0) return;
    const Slot& routes = e.slots[static_cast<size_t>(options_.guess)];
    source_->expect_next(most_wanted(routes, e.batch.tokens(), shape_.guessed_top, options_.guessed));
  }

  RoutedRows sort(const Execution& e) const {
    const Slot& route = e.slots[static_cast<size_t>(options_.route)];
    return sort_rows(route, e.batch.tokens(), shape_.top, source_->experts(), memory(e, scratch_.lists));
  }

  // The rows of the experts that are held, through all three matrices.
  void feed(const Execution& e, const RoutedRows& sorted, const Held& held) const {
    const Slot gathered = outer_.over(memory(e, scratch_.gathered), sorted.rows);
    each_run(sorted, held, [&](Range rows) { gather(e, sorted, rows, gathered); });
    float* between = memory(e, scratch_.between);
    const int64_t panels = ceil_div(shape_.inner, qmatmul::kPanel);
    spread_panels(e, sorted, held, 2 * panels, shape_.hidden, [&](size_t i, Range part) {
      const ExpertWeights& expert = held.weights(i);
      const Rows in = rows_of(e, sorted, held.ids()[i], gathered);
      float* out = between + in.place * 2 * shape_.inner;
      const int64_t stride = 2 * shape_.inner;
      multiply(expert.gate, outer_kernels_, outer_, in, {out, stride},
               {part.begin, std::min(part.end, panels)});
      multiply(expert.up, outer_kernels_, outer_, in, {out + shape_.inner, stride},
               {std::max<int64_t>(part.begin - panels, 0), part.end - panels});
    });
    Slot bent;
    each_run(sorted, held, [&](Range rows) { bent = bend(e, sorted, rows, between); });
    float* results = memory(e, scratch_.results);
    spread_panels(
        e, sorted, held, ceil_div(shape_.hidden, qmatmul::kPanel), shape_.inner, [&](size_t i, Range part) {
          const int32_t expert = held.ids()[i];
          const int64_t place = sorted.starts[expert];
          multiply(held.weights(i).down, inner_kernels_, inner_, {bent, place, sorted.count(expert), place},
                   {results + place * shape_.hidden, shape_.hidden}, part);
        });
  }

  // Rows of experts that follow each other: all that are held, but for such as are computed elsewhere.
  template <typename Body>
  static void each_run(const RoutedRows& sorted, const Held& held, const Body& body) {
    Range run{sorted.starts[held.ids().front()], sorted.starts[held.ids().front()]};
    for (const int32_t id : held.ids()) {
      if (sorted.starts[id] != run.end) {
        body(run);
        run.begin = sorted.starts[id];
      }
      run.end = sorted.starts[id + 1];
    }
    body(run);
  }

  // Rows of one expert as a product reads them, and the place of the first one.
  struct Rows {
    Slot slot;
    int64_t first, count, place;
  };
  struct Target {
    float* data;
    int64_t stride;
  };

  // A single row is read where it lies.
  Rows rows_of(const Execution& e, const RoutedRows& sorted, int32_t expert, const Slot& gathered) const {
    const int64_t place = sorted.starts[expert];
    const int64_t count = sorted.count(expert);
    if (count > 1) return {gathered, place, count, place};
    return {e.slots[static_cast<size_t>(options_.input)], sorted.order[place] / shape_.top, 1, place};
  }

  void gather(const Execution& e, const RoutedRows& sorted, Range rows, const Slot& gathered) const {
    const Slot& in = e.slots[static_cast<size_t>(options_.input)];
    const int64_t grain = std::max<int64_t>(1, kGrainValues / outer_.words);
    e.spread(rows.end - rows.begin, grain, [&](int64_t begin, int64_t end, int) {
      for (int64_t place = rows.begin + begin; place < rows.begin + end; ++place) {
        const int32_t row = sorted.order[place];
        if (sorted.count(sorted.expert_of(row)) > 1) outer_.copy(in, row / shape_.top, gathered, place);
      }
    });
  }

  // activation(gate) * up, as the downs read it.
  Slot bend(const Execution& e, const RoutedRows& sorted, Range rows, float* between) const {
    const bool coded = inner_.type != BufferType::kF32;
    Slot bent = coded ? inner_.over(memory(e, scratch_.codes), sorted.rows)
                      : Slot{.data = between, .stride = 2 * shape_.inner};
    const int64_t grain = std::max<int64_t>(1, kGrainValues / shape_.inner);
    e.spread(rows.end - rows.begin, grain, [&](int64_t begin, int64_t end, int) {
      activate::Params p;
      p.kind = options_.activation;
      p.x = p.out = between;
      p.up = between + shape_.inner;
      p.stride = p.out_stride = 2 * shape_.inner;
      p.width = shape_.inner;
      p.begin = rows.begin + begin;
      p.end = rows.begin + end;
      activate_.run(p);
      if (coded) inner_.quantise(between, p.stride, bent, p.begin, p.end);
    });
    return bent;
  }

  // Spreads the panels of all experts that are held; one of an expert with more rows is more work.
  template <typename Body>
  void spread_panels(const Execution& e, const RoutedRows& sorted, const Held& held, int64_t panels,
                     int64_t k, const Body& body) const {
    const int64_t first = sorted.starts[held.ids().front()];
    const int64_t work = (sorted.starts[held.ids().back() + 1] - first) * panels;
    e.spread(work, std::max<int64_t>(1, kGrain / (qmatmul::kPanel * k)),
             [&](int64_t begin, int64_t end, int) {
               for (size_t i = 0; i < held.ids().size(); ++i) {
                 const int64_t rows = sorted.count(held.ids()[i]);
                 const int64_t before = (sorted.starts[held.ids()[i]] - first) * panels;
                 const Range part{ceil_div(std::max<int64_t>(begin - before, 0), rows),
                                  std::min(panels, ceil_div(std::max<int64_t>(end - before, 0), rows))};
                 if (part.begin < part.end) body(i, part);
               }
             });
  }

  void multiply(const ExpertMatrix& matrix, const ExpertKernels& kernels, const RowForm& form, const Rows& in,
                const Target& out, Range panels) const {
    if (panels.begin >= panels.end) return;
    const LinearWeights& w = matrix.weights;
    qmatmul::Params p;
    p.m = in.count;
    p.n = w.n;
    p.k = w.k;
    form.bind(in.slot, in.first, p);
    p.w = w.packed;
    p.w_scale = w.scale;
    p.w_zero = w.zero;
    p.w_sum = w.sum;
    p.grid = w.grid;
    p.bias = w.bias;
    p.c = out.data;
    p.c_stride = out.stride;
    p.n_begin = panels.begin * qmatmul::kPanel;
    p.n_end = std::min(p.n, panels.end * qmatmul::kPanel);
    kernels.of(matrix, p.m).run(p);
  }

  void add_up(const Execution& e, const RoutedRows& sorted) const {
    const int64_t grain = std::max<int64_t>(1, kGrainValues / (shape_.hidden * shape_.top));
    const float* results = memory(e, scratch_.results);
    e.spread(e.batch.tokens(), grain, [&](int64_t begin, int64_t end, int) {
      for (int64_t token = begin; token < end; ++token) add_up_token(e, sorted, results, token);
    });
  }

  void add_up_token(const Execution& e, const RoutedRows& sorted, const float* results, int64_t token) const {
    constexpr int64_t kPiece = 256;
    const Slot& route = e.slots[static_cast<size_t>(options_.route)];
    const Slot& out = e.slots[static_cast<size_t>(options_.output)];
    const float* weights = route.f32() + token * route.stride + shape_.top;
    const int32_t* places = sorted.places + token * shape_.top;
    float* y = out.f32() + token * out.stride;
    const float* residual = nullptr;
    if (options_.residual >= 0) {
      const Slot& slot = e.slots[static_cast<size_t>(options_.residual)];
      residual = slot.f32() + token * slot.stride;
    }
    for (int64_t begin = 0; begin < shape_.hidden; begin += kPiece) {
      const int64_t count = std::min(kPiece, shape_.hidden - begin);
      float sum[kPiece] = {};
      for (int64_t rank = 0; rank < shape_.top; ++rank) {
        const float* x = results + places[rank] * shape_.hidden + begin;
        for (int64_t k = 0; k < count; ++k) sum[k] += weights[rank] * x[k];
      }
      for (int64_t k = 0; k < count; ++k) {
        y[begin + k] = residual == nullptr ? sum[k] : residual[begin + k] + sum[k];
      }
    }
  }

  std::shared_ptr<ExpertSource> source_;
  ExpertsOptions options_;
  Shape shape_;
  RowForm outer_, inner_;
  ExpertsScratch scratch_;
  const activate::Row& activate_;
  ExpertKernels outer_kernels_, inner_kernels_;
};

void check_matrix(const ExpertMatrix& matrix, int64_t expert, int64_t n, const RowForm& form) {
  const LinearWeights& w = matrix.weights;
  if (w.n != n || w.k != form.width) {
    fail(ErrorKind::kWeight, "expert ", expert, " has a matrix of shape [", w.n, ", ", w.k, "]; [", n, ", ",
         form.width, "] is needed: all experts of a block have one shape");
  }
  check_linear(w, form.width, form.type);
  if (form.type == BufferType::kI8Block && w.grid.group != form.group) {
    fail(ErrorKind::kWeight, "expert ", expert, " has scales for ", w.grid.group,
         " inputs each; the others for ", form.group);
  }
}

}  // namespace

void add_experts(Plan& plan, std::shared_ptr<ExpertSource> source, const ExpertsOptions& options) {
  if (source->experts() < 1) fail(ErrorKind::kInvalidArgument, "a feed-forward of no experts");
  plan.expect(options.input, plan.type(options.input), -1, "experts input");
  plan.expect(options.route, BufferType::kF32, -1, "experts route");
  plan.expect(options.output, BufferType::kF32, -1, "experts output");
  if (options.guess >= 0) plan.expect(options.guess, BufferType::kF32, -1, "route of the next experts");
  const Shape shape{.hidden = plan.columns(options.output),
                    .inner = source->description(0).up.weights.n,
                    .top = plan.columns(options.route) / 2,
                    .guessed_top = options.guess < 0 ? 0 : plan.columns(options.guess) / 2};
  if (options.residual >= 0)
    plan.expect(options.residual, BufferType::kF32, shape.hidden, "experts residual");
  const RowForm outer(plan.type(options.input), plan.columns(options.input), plan.group(options.input));
  const RowForm inner(options.inner, shape.inner, options.inner_group);
  for (int64_t i = 0; i < source->experts(); ++i) {
    const ExpertWeights& expert = source->description(i);
    check_matrix(expert.gate, i, shape.inner, outer);
    check_matrix(expert.up, i, shape.inner, outer);
    check_matrix(expert.down, i, shape.hidden, inner);
  }
  const auto rows_of = [&](int64_t words) { return plan.add_buffer(BufferType::kF32, shape.top * words); };
  const ExpertsScratch scratch{
      .lists = plan.add_buffer(BufferType::kF32, routed_columns(source->experts(), shape.top)),
      .gathered = rows_of(outer.words),
      .between = rows_of(2 * shape.inner),
      .codes = options.inner == BufferType::kF32 ? -1 : rows_of(inner.words),
      .results = rows_of(shape.hidden)};
  plan.add_op(std::make_unique<Experts>(std::move(source), options, shape, outer, scratch));
}

}  // namespace arrowmind::runtime

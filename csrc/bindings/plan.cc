#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/thread_pool.h"
#include "bindings/bindings.h"
#include "bindings/experts.h"
#include "bindings/grid.h"
#include "bindings/hash_tree.h"
#include "bindings/keepalive.h"
#include "bindings/linear.h"
#include "bindings/rows.h"
#include "bindings/senses.h"
#include "runtime/cache/kv_cache.h"
#include "runtime/ops/activate.h"
#include "runtime/ops/add.h"
#include "runtime/ops/attention.h"
#include "runtime/ops/border.h"
#include "runtime/ops/embed.h"
#include "runtime/ops/head_linear.h"
#include "runtime/ops/linear.h"
#include "runtime/ops/multiply.h"
#include "runtime/ops/need.h"
#include "runtime/ops/norm.h"
#include "runtime/ops/observe.h"
#include "runtime/ops/pool.h"
#include "runtime/ops/quantise.h"
#include "runtime/ops/rope.h"
#include "runtime/plan.h"

namespace arrowmind::bindings {
namespace {

using runtime::BufferType;
using runtime::Plan;

template <typename T>
using Vector = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// The pointer behind `key` of a tensor description, checked to hold at least `count` items; null for None.
template <typename T>
const T* pointer(Plan& plan, const nb::dict& tensor, const char* key, int64_t count) {
  const nb::object value = nb::borrow(tensor[key]);
  if (value.is_none()) return nullptr;
  const Vector<T> array = nb::cast<Vector<T>>(value);
  if (static_cast<int64_t>(array.size()) < count) {
    fail(ErrorKind::kWeight, key, " holds ", array.size(), " values; ", count, " are needed");
  }
  plan.keep(keepalive(nb::cast(array)));
  return array.data();
}

grid::Grid grid_of(Plan& plan, const nb::dict& tensor, Shape shape, bool row_major = false) {
  GridBuffers buffers(tensor, shape.rows, shape.columns, row_major);
  for (const nb::object& owner : buffers.owners) plan.keep(keepalive(owner));
  return buffers.grid;
}

std::vector<runtime::LinearWeights> weights_of(Plan& plan, const std::vector<nb::dict>& layers) {
  std::vector<runtime::LinearWeights> weights;
  for (const nb::dict& layer : layers) {
    LinearDescription described(layer);
    for (const nb::object& owner : described.owners) plan.keep(keepalive(owner));
    weights.push_back(described.weights);
  }
  return weights;
}

void linear(Plan& plan, const std::vector<nb::dict>& layers, int input, int output, int residual, bool gelu,
            int64_t column) {
  runtime::add_linear(
      plan, weights_of(plan, layers),
      {.input = input, .output = output, .residual = residual, .gelu = gelu, .column = column});
}

void linear_heads(Plan& plan, const std::vector<nb::dict>& heads, int input, int output, int64_t first,
                  int64_t step, int64_t to, int64_t to_step) {
  runtime::add_head_linear(plan, weights_of(plan, heads), input, output, {first, step}, {to, to_step});
}

struct ElementType {
  const char* name;
  bool grid;
  embed::Element element;
  int64_t bits;
};

constexpr ElementType kElements[] = {
    {"fp32", false, embed::Element::kF32, 32},  {"fp16", false, embed::Element::kF16, 16},
    {"bf16", false, embed::Element::kBf16, 16}, {"int8", false, embed::Element::kI8, 8},
    {"int8", true, embed::Element::kI8Grid, 8}, {"int4", true, embed::Element::kI4Grid, 4},
    {"int2", true, embed::Element::kI2Grid, 2}, {"fp4", true, embed::Element::kFp4Grid, 4}};

const ElementType& element_type(const std::string& name, bool grid) {
  for (const ElementType& type : kElements) {
    if (name == type.name && grid == type.grid) return type;
  }
  fail(ErrorKind::kWeight, "a table of type '", name, "' is not served", grid ? " with groups" : "");
}

embed::Table embed_table(Plan& plan, const nb::dict& tensor) {
  const Shape shape = shape_of(tensor);
  const std::optional<int64_t> group = group_of(tensor);
  const ElementType& type = element_type(nb::cast<std::string>(tensor["type"]), group.has_value());
  embed::Table table;
  table.rows = shape.rows;
  table.element = type.element;
  table.data = pointer<uint8_t>(plan, tensor, "codes", shape.rows * ceil_div(shape.columns * type.bits, 8));
  if (group) {
    table.grid = grid_of(plan, tensor, shape, true);
    return table;
  }
  table.scale = pointer<float>(plan, tensor, "scales", shape.rows);
  table.zero = pointer<float>(plan, tensor, "zero_points", shape.rows);
  if ((table.element == embed::Element::kI8) != (table.scale != nullptr)) {
    fail(ErrorKind::kWeight, "a table of type ", type.name, ": int8 tables need scales, others have none");
  }
  return table;
}

// The tree that covers a table that is mapped, and how far apart its rows are.
runtime::RowGuard row_guard(const nb::dict& tensor) {
  if (!tensor.contains("tree") || tensor["tree"].is_none()) return {};
  const Vector<uint8_t> codes = nb::cast<Vector<uint8_t>>(tensor["codes"]);
  return {nb::cast<const TreeHandle&>(tensor["tree"]).tree, nb::cast<std::string>(tensor["name"]),
          static_cast<int64_t>(codes.size()) / shape_of(tensor).rows};
}

void embed(Plan& plan, int output, const nb::dict& word, const std::optional<nb::dict>& position,
           const std::optional<nb::dict>& token_type) {
  runtime::EmbedTables tables;
  tables.word = embed_table(plan, word);
  tables.word_guard = row_guard(word);
  if (position) {
    tables.position = embed_table(plan, *position);
    tables.position_guard = row_guard(*position);
  }
  if (token_type) {
    tables.token_type = embed_table(plan, *token_type);
    tables.token_type_guard = row_guard(*token_type);
  }
  for (const nb::dict* table : {&word, position ? &*position : &word, token_type ? &*token_type : &word}) {
    if (shape_of(*table).columns != plan.columns(output)) {
      fail(ErrorKind::kWeight, "an embedding table has ", shape_of(*table).columns, " columns; ",
           plan.columns(output), " are needed");
    }
  }
  runtime::add_embed(plan, tables, output);
}

void layer_norm(Plan& plan, int input, int output, const Vector<float>& gamma, const Vector<float>& beta,
                float epsilon) {
  const int64_t columns = plan.columns(input);
  if (static_cast<int64_t>(gamma.size()) != columns || beta.size() != gamma.size()) {
    fail(ErrorKind::kWeight, "a layer norm of ", gamma.size(), " values meets ", columns, " columns");
  }
  plan.keep(keepalive(nb::cast(gamma)));
  plan.keep(keepalive(nb::cast(beta)));
  runtime::add_norm(plan, {gamma.data(), beta.data(), epsilon}, {.width = columns}, input, output);
}

void rms_norm(Plan& plan, int input, int output, const Vector<float>& gamma, float epsilon, int64_t first,
              int64_t pieces) {
  plan.keep(keepalive(nb::cast(gamma)));
  const runtime::Pieces place = {
      .first = first, .count = pieces, .width = static_cast<int64_t>(gamma.size())};
  runtime::add_norm(plan, {gamma.data(), nullptr, epsilon}, place, input, output);
}

void turns(Plan& plan, int output, const Vector<float>& frequencies, float factor) {
  if (2 * static_cast<int64_t>(frequencies.size()) != plan.columns(output)) {
    fail(ErrorKind::kInvalidArgument, "turns: ", frequencies.size(), " frequencies for ",
         plan.columns(output), " columns");
  }
  plan.keep(keepalive(nb::cast(frequencies)));
  runtime::add_turns(plan, output, frequencies.data(), factor);
}

void rope(Plan& plan, int buffer, int turned_by, int64_t first, int64_t heads, int64_t head_dim,
          bool interleaved) {
  runtime::add_rope(plan, buffer, turned_by, {.first = first, .count = heads, .width = head_dim},
                    interleaved);
}

void attention(Plan& plan, int input, int output, int64_t heads, int64_t key_heads, bool causal,
               int64_t window, float scale, float cap, int64_t layer) {
  runtime::add_attention(plan, input, output,
                         {.heads = heads,
                          .key_heads = key_heads > 0 ? key_heads : heads,
                          .scale = scale,
                          .causal = causal,
                          .window = window,
                          .cap = cap,
                          .layer = layer});
}

// A value for each column of `input`, kept alive by the plan.
const float* per_column(Plan& plan, int input, const Vector<float>& values, const char* what) {
  if (static_cast<int64_t>(values.size()) != plan.columns(input)) {
    fail(ErrorKind::kWeight, what, " of ", values.size(), " values meets ", plan.columns(input), " columns");
  }
  plan.keep(keepalive(nb::cast(values)));
  return values.data();
}

void quantise(Plan& plan, int input, int output, const std::optional<Vector<float>>& multiplier) {
  runtime::add_quantise(plan, input, output,
                        multiplier ? per_column(plan, input, *multiplier, "a multiplier") : nullptr);
}

void multiply(Plan& plan, int input, int output, const Vector<float>& multiplier) {
  runtime::add_multiply(plan, input, output, per_column(plan, input, multiplier, "a multiplier"));
}

void need(Plan& plan, std::shared_ptr<residency::Residency> residency, std::vector<int32_t> blocks,
          std::vector<int32_t> ahead) {
  runtime::add_need(plan, std::move(residency), {.blocks = std::move(blocks), .ahead = std::move(ahead)});
}

using Statistics = nb::ndarray<double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void observe(Plan& plan, int input, const Statistics& statistics) {
  const size_t columns = static_cast<size_t>(plan.columns(input));
  if (statistics.shape(0) != 2 || statistics.shape(1) != columns) {
    fail(ErrorKind::kInvalidArgument, "statistics have shape [", statistics.shape(0), ", ",
         statistics.shape(1), "]; [2, ", columns, "] is needed");
  }
  plan.keep(keepalive(nb::cast(statistics)));
  runtime::add_observe(plan, input, {.magnitude = statistics.data(), .squares = statistics.data() + columns});
}

using Rows = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Count = nb::ndarray<int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void record(Plan& plan, int input, const Rows& rows, const Count& count) {
  if (static_cast<int64_t>(rows.shape(1)) != plan.columns(input) || count.size() != 1) {
    fail(ErrorKind::kInvalidArgument, "a record of ", rows.shape(1), " columns and ", count.size(),
         " counts; [rows, ", plan.columns(input), "] and one count are needed");
  }
  plan.keep(keepalive(nb::cast(rows)));
  plan.keep(keepalive(nb::cast(count)));
  runtime::add_record(
      plan, input,
      {.rows = rows.data(), .capacity = static_cast<int64_t>(rows.shape(0)), .count = count.data()});
}

void pool(Plan& plan, int input, const std::string& kind) {
  if (kind != "mean" && kind != "cls" && kind != "last")
    fail(ErrorKind::kInvalidArgument, "pooling '", kind, "'; use mean, cls or last");
  runtime::add_pool(plan, input,
                    kind == "mean"  ? pool::Mode::kMean
                    : kind == "cls" ? pool::Mode::kFirst
                                    : pool::Mode::kLast);
}

nb::ndarray<nb::numpy, float> result_of(Plan& plan, const runtime::Batch& batch,
                                        const runtime::RunOptions& options, ThreadPool& threads) {
  const int64_t rows = plan.gives_tokens() ? batch.tokens() : batch.sequences;
  const int64_t columns = plan.limits().output_columns;
  const size_t size = static_cast<size_t>(rows * columns);
  // A result per token is written whole (Plan::finish), and large.
  auto result =
      plan.gives_tokens() ? std::make_unique_for_overwrite<float[]>(size) : std::make_unique<float[]>(size);
  float* output = result.get();
  {
    nb::gil_scoped_release release;
    plan.run(batch, options, threads, output);
  }
  nb::capsule owner(result.release(), [](void* p) noexcept { delete[] static_cast<float*>(p); });
  return {output, {static_cast<size_t>(rows), static_cast<size_t>(columns)}, owner};
}

nb::ndarray<nb::numpy, float> run(Plan& plan, const Vector<int32_t>& token_ids,
                                  const Vector<int32_t>& offsets, ThreadPool& threads, bool normalise,
                                  int64_t micro_tokens, const std::optional<FloatRows>& memory,
                                  const std::optional<Vector<int32_t>>& memory_offsets) {
  if (offsets.size() < 1)
    fail(ErrorKind::kInvalidArgument, "offsets is empty; it needs sequences + 1 values");
  const int64_t sequences = static_cast<int64_t>(offsets.size()) - 1;
  const runtime::Batch batch{token_ids.data(), offsets.data(), sequences};
  runtime::validate(batch, static_cast<int64_t>(token_ids.size()), plan.limits().max_length,
                    plan.limits().vocabulary);
  const std::optional<runtime::Memory> looked_at = memory_of(memory, memory_offsets, sequences);
  return result_of(
      plan, batch,
      {.micro_tokens = micro_tokens, .normalise = normalise, .memory = looked_at ? &*looked_at : nullptr},
      threads);
}

// Sequences that a cache holds gain their tokens; nothing is gained when it fails.
nb::ndarray<nb::numpy, float> run_cached(Plan& plan, runtime::KvCache& cache,
                                         const std::vector<int64_t>& sequences,
                                         const std::optional<Vector<int32_t>>& token_ids,
                                         const Vector<int32_t>& offsets, ThreadPool& threads,
                                         int64_t micro_tokens, const std::optional<FloatRows>& memory,
                                         const std::optional<Vector<int32_t>>& memory_offsets,
                                         const std::optional<FloatRows>& rows) {
  const runtime::Batch batch = cached_batch(plan, sequences.size(), token_ids, offsets, rows);
  const std::optional<runtime::Memory> looked_at =
      memory_of(memory, memory_offsets, static_cast<int64_t>(sequences.size()));
  std::vector<runtime::Growth> growth;
  for (size_t s = 0; s < sequences.size(); ++s) {
    growth.push_back({sequences[s], offsets.data()[s + 1] - offsets.data()[s]});
  }
  std::unique_lock<std::mutex> lock;
  {
    nb::gil_scoped_release release;
    lock = cache.guard();
  }
  if (const runtime::DevicePages* pages = cache.on_device()) {
    fail(ErrorKind::kInvalidArgument, "the pages of the cache are on ", pages->device()->name(),
         "; to_host() brings them back");
  }
  cache.prepare(growth);
  runtime::CacheRun run{&cache, {}};
  for (const int64_t sequence : sequences) run.sequences.push_back(&cache.sequence(sequence));
  nb::ndarray<nb::numpy, float> result = result_of(plan, batch,
                                                   {.micro_tokens = micro_tokens,
                                                    .rows = rows ? rows->data() : nullptr,
                                                    .cache = &run,
                                                    .memory = looked_at ? &*looked_at : nullptr},
                                                   threads);
  cache.commit(growth);
  return result;
}

nb::ndarray<nb::numpy, float> run_rows(Plan& plan, const FloatRows& rows, ThreadPool& threads,
                                       const std::optional<Vector<int32_t>>& offsets, bool normalise,
                                       int64_t micro_tokens) {
  check_columns(plan, rows);
  if (rows.shape(0) > INT32_MAX)
    fail(ErrorKind::kInvalidArgument, rows.shape(0), " rows; run fewer at a time");
  const int32_t whole[] = {0, static_cast<int32_t>(rows.shape(0))};
  runtime::Batch batch{nullptr, whole, rows.shape(0) > 0 ? 1 : 0};
  if (offsets) batch = batch_of_rows(plan, rows, *offsets);
  return result_of(plan, batch, {.micro_tokens = micro_tokens, .normalise = normalise, .rows = rows.data()},
                   threads);
}

Plan* make_plan(int64_t vocabulary, int64_t max_length, int64_t output_columns) {
  return new Plan({.vocabulary = vocabulary, .max_length = max_length, .output_columns = output_columns});
}

}  // namespace

void bind_plan(nb::module_& m) {
  nb::class_<Plan> plan_class(m, "Plan",
                              "A forward as a flat list of operators over buffers; see csrc/runtime/plan.h.");
  bind_plan_experts(plan_class);
  bind_plan_senses(plan_class);
  plan_class
      .def(nb::new_(&make_plan), nb::arg("vocabulary"), nb::arg("max_length"), nb::arg("output_columns"))
      .def(
          "buffer",
          [](Plan& plan, const std::string& type, int64_t columns, int64_t group) {
            return plan.add_buffer(buffer_type(type), columns, group);
          },
          nb::arg("type"), nb::arg("columns"), nb::arg("group") = 0)
      .def("columns", &Plan::columns, nb::arg("buffer"))
      .def("embed", &embed, nb::arg("output"), nb::arg("word"), nb::arg("position") = nb::none(),
           nb::arg("token_type") = nb::none())
      .def("layer_norm", &layer_norm, nb::arg("input"), nb::arg("output"), nb::arg("gamma"), nb::arg("beta"),
           nb::arg("epsilon"))
      .def("rms_norm", &rms_norm, nb::arg("input"), nb::arg("output"), nb::arg("gamma"), nb::arg("epsilon"),
           nb::arg("first") = 0, nb::arg("pieces") = 1)
      .def("turns", &turns, nb::arg("output"), nb::arg("frequencies"), nb::arg("factor") = 1.0f)
      .def("rope", &rope, nb::arg("buffer"), nb::arg("turns"), nb::arg("first"), nb::arg("heads"),
           nb::arg("head_dim"), nb::arg("interleaved") = false)
      .def(
          "activate",
          [](Plan& plan, int input, int output, const std::string& kind, float cap) {
            runtime::add_activate(plan, activation_kind(kind), cap, input, output);
          },
          nb::arg("input"), nb::arg("output"), nb::arg("kind"), nb::arg("cap") = 0.0f)
      .def("border", &runtime::add_border)
      .def("need", &need, nb::arg("residency"), nb::arg("blocks"), nb::arg("ahead"))
      .def("add", &runtime::add_sum, nb::arg("input"), nb::arg("output"))
      .def("quantise", &quantise, nb::arg("input"), nb::arg("output"), nb::arg("multiplier") = nb::none())
      .def("multiply", &multiply, nb::arg("input"), nb::arg("output"), nb::arg("multiplier"))
      .def("observe", &observe, nb::arg("input"), nb::arg("statistics"))
      .def("record", &record, nb::arg("input"), nb::arg("rows"), nb::arg("count"))
      .def("linear", &linear, nb::arg("layers"), nb::arg("input"), nb::arg("output"),
           nb::arg("residual") = -1, nb::arg("gelu") = false, nb::arg("column") = -1)
      .def("linear_heads", &linear_heads, nb::arg("heads"), nb::arg("input"), nb::arg("output"),
           nb::arg("first"), nb::arg("step"), nb::arg("to"), nb::arg("to_step"))
      .def("attention", &attention, nb::arg("input"), nb::arg("output"), nb::arg("heads"),
           nb::arg("key_heads") = 0, nb::arg("causal") = false, nb::arg("window") = 0,
           nb::arg("scale") = 0.0f, nb::arg("cap") = 0.0f, nb::arg("layer") = -1)
      .def("pool", &pool, nb::arg("input"), nb::arg("kind"))
      .def("result", &Plan::set_result, nb::arg("buffer"))
      .def("source", &Plan::set_source, nb::arg("buffer"))
      .def("finish", &Plan::finish)
      .def("kernels", &Plan::kernels)
      .def_prop_ro("scratch_bytes_per_token", &Plan::scratch_bytes_per_token)
      .def("run", &run, nb::arg("token_ids"), nb::arg("offsets"), nb::arg("threads"), nb::arg("normalise"),
           nb::arg("micro_tokens") = 128, nb::arg("memory") = nb::none(),
           nb::arg("memory_offsets") = nb::none(),
           "Runs the forward over packed sequences without the GIL -> float32 [sequences or tokens, "
           "output_columns].")
      .def("run_cached", &run_cached, nb::arg("cache"), nb::arg("sequences"), nb::arg("token_ids").none(),
           nb::arg("offsets"), nb::arg("threads"), nb::arg("micro_tokens") = 128,
           nb::arg("memory") = nb::none(), nb::arg("memory_offsets") = nb::none(),
           nb::arg("rows") = nb::none(),
           "Appends tokens to sequences of a cache without the GIL -> float32 [tokens, output_columns].")
      .def("run_rows", &run_rows, nb::arg("rows"), nb::arg("threads"), nb::arg("offsets") = nb::none(),
           nb::arg("normalise") = false, nb::arg("micro_tokens") = 128,
           "Runs the forward over rows of floats without the GIL -> float32 [rows or sequences, "
           "output_columns].");
}

}  // namespace arrowmind::bindings

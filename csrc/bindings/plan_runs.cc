#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "bindings/batches.h"
#include "bindings/owned.h"
#include "bindings/plan_parts.h"
#include "bindings/senses.h"
#include "runtime/cache/kv_cache.h"

namespace arrowmind::bindings {
namespace {

using runtime::Plan;

struct Result {
  std::unique_ptr<float[]> values;  // [rows, columns]
  size_t rows, columns;

  nb::ndarray<nb::numpy, float> array() && { return owned(std::move(values), {rows, columns}); }
};

Result result_of(Plan& plan, const runtime::Batch& batch, const runtime::RunOptions& options,
                 ThreadPool& threads) {
  const int64_t rows = plan.gives_tokens() ? batch.tokens() : batch.sequences;
  const int64_t columns = plan.limits().output_columns;
  const size_t size = static_cast<size_t>(rows * columns);
  // A result per token is written whole (Plan::finish), and large.
  auto result =
      plan.gives_tokens() ? std::make_unique_for_overwrite<float[]>(size) : std::make_unique<float[]>(size);
  {
    nb::gil_scoped_release release;
    plan.run(batch, options, threads, result.get());
  }
  return {std::move(result), static_cast<size_t>(rows), static_cast<size_t>(columns)};
}

nb::ndarray<nb::numpy, float> run(Plan& plan, const Offsets& token_ids, const Offsets& offsets,
                                  ThreadPool& threads, bool normalise, int64_t micro_tokens,
                                  const std::optional<FloatRows>& memory,
                                  const std::optional<Offsets>& memory_offsets) {
  const runtime::Batch batch = batch_of_tokens(plan, token_ids, offsets);
  const std::optional<runtime::Memory> looked_at = memory_of(memory, memory_offsets, batch.sequences);
  return result_of(plan, batch,
                   {.micro_tokens = micro_tokens,
                    .normalise = normalise,
                    .memory = looked_at ? &*looked_at : nullptr},
                   threads)
      .array();
}

// Sequences that a cache holds gain their tokens; nothing is gained when it fails.
Result grow(Plan& plan, runtime::KvCache& cache, const std::vector<runtime::Growth>& growth,
            const runtime::Batch& batch, runtime::RunOptions options, ThreadPool& threads) {
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
  for (const runtime::Growth& one : growth) run.sequences.push_back(&cache.sequence(one.sequence));
  options.cache = &run;
  Result result = result_of(plan, batch, options, threads);
  cache.commit(growth);
  return result;
}

nb::ndarray<nb::numpy, float> run_cached(Plan& plan, runtime::KvCache& cache,
                                         const std::vector<int64_t>& sequences,
                                         const std::optional<Offsets>& token_ids, const Offsets& offsets,
                                         ThreadPool& threads, int64_t micro_tokens,
                                         const std::optional<FloatRows>& memory,
                                         const std::optional<Offsets>& memory_offsets,
                                         const std::optional<FloatRows>& rows) {
  const runtime::Batch batch = cached_batch(plan, sequences.size(), token_ids, offsets, rows);
  const std::optional<runtime::Memory> looked_at = memory_of(memory, memory_offsets, batch.sequences);
  const runtime::RunOptions options{.micro_tokens = micro_tokens,
                                    .rows = rows ? rows->data() : nullptr,
                                    .memory = looked_at ? &*looked_at : nullptr};
  return grow(plan, cache, growth_of(sequences, offsets), batch, options, threads).array();
}

// How many rows are wanted, the last `counts[s]` of each sequence.
size_t wanted_rows(const Offsets& offsets, const std::vector<int64_t>& counts) {
  size_t wanted = 0;
  for (size_t s = 0; s < counts.size(); ++s) {
    const int64_t tokens = offsets.data()[s + 1] - offsets.data()[s];
    if (counts[s] < 0 || counts[s] > tokens) {
      fail(ErrorKind::kInvalidArgument, "the last ", counts[s], " rows of ", tokens, " tokens; use 0 to ",
           tokens);
    }
    wanted += static_cast<size_t>(counts[s]);
  }
  return wanted;
}

// They, one after the other.
Result last_rows(const Result& states, const Offsets& offsets, const std::vector<int64_t>& counts,
                 size_t wanted) {
  Result rows{std::make_unique_for_overwrite<float[]>(wanted * states.columns), wanted, states.columns};
  float* to = rows.values.get();
  for (size_t s = 0; s < counts.size(); ++s) {
    const auto count = static_cast<size_t>(counts[s]);
    const size_t first = static_cast<size_t>(offsets.data()[s + 1]) - count;
    to = std::copy_n(states.values.get() + first * states.columns, count * states.columns, to);
  }
  return rows;
}

// A step of decoding in one call: the caches of the processor are full of weights when a forward ends, so
// that what Python does between two plans waits for memory at every turn.
nb::ndarray<nb::numpy, float> run_step(Plan& plan, runtime::KvCache& cache,
                                       const std::vector<int64_t>& sequences, const Offsets& token_ids,
                                       const Offsets& offsets, const std::vector<int64_t>& counts, Plan& head,
                                       ThreadPool& threads) {
  const runtime::Batch batch = cached_batch(plan, sequences.size(), token_ids, offsets, std::nullopt);
  if (counts.size() != sequences.size() || !plan.gives_tokens() || !head.gives_tokens() ||
      head.source() < 0 || head.columns(head.source()) != plan.limits().output_columns) {
    fail(ErrorKind::kInvalidArgument, counts.size(), " counts for ", sequences.size(),
         " sequences, and a head; give one each, and a head that reads what the plan gives");
  }
  const size_t wanted = wanted_rows(offsets, counts);
  const Result states = grow(plan, cache, growth_of(sequences, offsets), batch, {}, threads);
  const Result rows = last_rows(states, offsets, counts, wanted);
  const std::array<int32_t, 2> whole = {0, static_cast<int32_t>(rows.rows)};
  const runtime::Batch batch_of_head{nullptr, whole.data(), rows.rows > 0 ? 1 : 0};
  return result_of(head, batch_of_head, {.rows = rows.values.get()}, threads).array();
}

nb::ndarray<nb::numpy, float> run_rows(Plan& plan, const FloatRows& rows, ThreadPool& threads,
                                       const std::optional<Offsets>& offsets, bool normalise,
                                       int64_t micro_tokens) {
  const OneSequence whole(plan, rows);
  const runtime::Batch batch = offsets ? batch_of_rows(plan, rows, *offsets) : whole.batch();
  return result_of(plan, batch, {.micro_tokens = micro_tokens, .normalise = normalise, .rows = rows.data()},
                   threads)
      .array();
}

}  // namespace

void bind_plan_runs(nb::class_<Plan>& plan) {
  plan.def("run", &run, nb::arg("token_ids"), nb::arg("offsets"), nb::arg("threads"), nb::arg("normalise"),
           nb::arg("micro_tokens") = 128, nb::arg("memory") = nb::none(),
           nb::arg("memory_offsets") = nb::none(),
           "Runs the forward over packed sequences without the GIL -> float32 [sequences or tokens, "
           "output_columns].")
      .def("run_cached", &run_cached, nb::arg("cache"), nb::arg("sequences"), nb::arg("token_ids").none(),
           nb::arg("offsets"), nb::arg("threads"), nb::arg("micro_tokens") = 128,
           nb::arg("memory") = nb::none(), nb::arg("memory_offsets") = nb::none(),
           nb::arg("rows") = nb::none(),
           "Appends tokens to sequences of a cache without the GIL -> float32 [tokens, output_columns].")
      .def("run_step", &run_step, nb::arg("cache"), nb::arg("sequences"), nb::arg("token_ids"),
           nb::arg("offsets"), nb::arg("counts"), nb::arg("head"), nb::arg("threads"),
           "As run_cached(), and what another plan makes of the last rows of each sequence, all without "
           "Python between -> float32 [rows, output_columns of the head].")
      .def("run_rows", &run_rows, nb::arg("rows"), nb::arg("threads"), nb::arg("offsets") = nb::none(),
           nb::arg("normalise") = false, nb::arg("micro_tokens") = 128,
           "Runs the forward over rows of floats without the GIL -> float32 [rows or sequences, "
           "output_columns].");
}

}  // namespace arrowmind::bindings

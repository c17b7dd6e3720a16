#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

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

nb::ndarray<nb::numpy, float> result_of(Plan& plan, const runtime::Batch& batch,
                                        const runtime::RunOptions& options, ThreadPool& threads) {
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
  return owned(std::move(result), {static_cast<size_t>(rows), static_cast<size_t>(columns)});
}

nb::ndarray<nb::numpy, float> run(Plan& plan, const Offsets& token_ids, const Offsets& offsets,
                                  ThreadPool& threads, bool normalise, int64_t micro_tokens,
                                  const std::optional<FloatRows>& memory,
                                  const std::optional<Offsets>& memory_offsets) {
  const runtime::Batch batch = batch_of_tokens(plan, token_ids, offsets);
  const std::optional<runtime::Memory> looked_at = memory_of(memory, memory_offsets, batch.sequences);
  return result_of(
      plan, batch,
      {.micro_tokens = micro_tokens, .normalise = normalise, .memory = looked_at ? &*looked_at : nullptr},
      threads);
}

// Sequences that a cache holds gain their tokens; nothing is gained when it fails.
nb::ndarray<nb::numpy, float> run_cached(Plan& plan, runtime::KvCache& cache,
                                         const std::vector<int64_t>& sequences,
                                         const std::optional<Offsets>& token_ids, const Offsets& offsets,
                                         ThreadPool& threads, int64_t micro_tokens,
                                         const std::optional<FloatRows>& memory,
                                         const std::optional<Offsets>& memory_offsets,
                                         const std::optional<FloatRows>& rows) {
  const runtime::Batch batch = cached_batch(plan, sequences.size(), token_ids, offsets, rows);
  const std::optional<runtime::Memory> looked_at = memory_of(memory, memory_offsets, batch.sequences);
  const std::vector<runtime::Growth> growth = growth_of(sequences, offsets);
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
                                       const std::optional<Offsets>& offsets, bool normalise,
                                       int64_t micro_tokens) {
  const OneSequence whole(plan, rows);
  const runtime::Batch batch = offsets ? batch_of_rows(plan, rows, *offsets) : whole.batch();
  return result_of(plan, batch, {.micro_tokens = micro_tokens, .normalise = normalise, .rows = rows.data()},
                   threads);
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
      .def("run_rows", &run_rows, nb::arg("rows"), nb::arg("threads"), nb::arg("offsets") = nb::none(),
           nb::arg("normalise") = false, nb::arg("micro_tokens") = 128,
           "Runs the forward over rows of floats without the GIL -> float32 [rows or sequences, "
           "output_columns].");
}

}  // namespace arrowmind::bindings

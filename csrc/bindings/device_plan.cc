#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "bindings/batches.h"
#include "bindings/bindings.h"
#include "bindings/owned.h"
#include "runtime/on_device/device_plan.h"

namespace arrowmind::bindings {
namespace {

using device::CachingAllocator;
using runtime::DevicePlan;
using runtime::DeviceWeights;
using runtime::Plan;
using Numbers = Offsets;
using Looked = std::shared_ptr<runtime::SharedRows>;

runtime::Graphs graphs_of(const std::string& name) {
  if (name == "auto") return runtime::Graphs::kAuto;
  if (name == "off") return runtime::Graphs::kOff;
  if (name == "check") return runtime::Graphs::kCheck;
  fail(ErrorKind::kInvalidArgument, "graphs '", name, "'; auto, off or check");
}

void make(DevicePlan* self, const Plan& plan, std::shared_ptr<DeviceWeights> weights,
          std::shared_ptr<CachingAllocator> memory, int64_t experts_here, ThreadPool* threads, bool passes,
          int64_t expert_room, double expert_threshold, bool mixed, const std::string& graphs, bool wgmma) {
  new (self) DevicePlan(plan, std::move(weights), std::move(memory),
                        {.experts_here = experts_here,
                         .threads = threads,
                         .passes = passes,
                         .cache = {.room_bytes = expert_room, .threshold = expert_threshold},
                         .mixed = mixed,
                         .wgmma = wgmma,
                         .graphs = graphs_of(graphs)});
}

std::map<std::string, int64_t> graph_counters(const DevicePlan& self) {
  const runtime::GraphCounters c = self.graph_counters();
  return {{"made", c.made},
          {"runs", c.runs},
          {"launches", c.launches},
          {"held", c.held},
          {"held_launches", c.held_launches},
          {"failed", c.failed}};
}

// Of single experts on the device; none where there are none.
std::map<std::string, int64_t> expert_counters(const DevicePlan& self) {
  if (self.expert_cache() == nullptr) return {};
  const runtime::ExpertCacheCounters c = self.expert_cache()->counters();
  return {{"hits", c.hits},
          {"misses", c.misses},
          {"brought", c.brought},
          {"evicted", c.evicted},
          {"failed", c.failed},
          {"brought_bytes", c.brought_bytes},
          {"held_bytes", c.held_bytes}};
}

nb::ndarray<nb::numpy, float> result_of(DevicePlan& self, const runtime::Batch& batch,
                                        const runtime::RunOptions& options,
                                        std::vector<runtime::StepTime>* times = nullptr) {
  const Plan& plan = self.plan();
  const int64_t rows = plan.gives_tokens() ? batch.tokens() : batch.sequences;
  const int64_t columns = plan.limits().output_columns;
  auto result = std::make_unique<float[]>(static_cast<size_t>(rows * columns));
  {
    nb::gil_scoped_release release;
    self.run(batch, options, result.get(), times);
  }
  return owned(std::move(result), {static_cast<size_t>(rows), static_cast<size_t>(columns)});
}

nb::ndarray<nb::numpy, float> run(DevicePlan& self, const Numbers& token_ids, const Numbers& offsets,
                                  bool normalise, int64_t micro_tokens, const Looked& looked,
                                  const std::optional<Numbers>& looked_offsets) {
  const runtime::Batch batch = batch_of_tokens(self.plan(), token_ids, offsets);
  const auto memory = memory_there(looked, looked_offsets, batch.sequences);
  return result_of(
      self, batch,
      {.micro_tokens = micro_tokens, .normalise = normalise, .memory = memory ? &*memory : nullptr});
}

nb::ndarray<nb::numpy, float> run_rows(DevicePlan& self, const FloatRows& rows, int64_t micro_tokens,
                                       const std::optional<Offsets>& offsets, bool normalise) {
  const OneSequence whole(self.plan(), rows);
  const runtime::Batch batch = offsets ? batch_of_rows(self.plan(), rows, *offsets) : whole.batch();
  return result_of(self, batch, {.micro_tokens = micro_tokens, .normalise = normalise, .rows = rows.data()});
}

// Results stay on the device, as rows `places` of `output`.
void run_there(DevicePlan& self, const Numbers& token_ids, const Numbers& offsets,
               const std::shared_ptr<runtime::SharedRows>& output, const Numbers& places, bool normalise,
               int64_t micro_tokens) {
  const runtime::Batch batch = batch_of_tokens(self.plan(), token_ids, offsets);
  nb::gil_scoped_release release;
  self.run_there(batch, {.micro_tokens = micro_tokens, .normalise = normalise}, *output,
                 {places.data(), places.size()});
}

void run_rows_there(DevicePlan& self, const FloatRows& rows,
                    const std::shared_ptr<runtime::SharedRows>& output, const Numbers& places,
                    int64_t micro_tokens) {
  const OneSequence whole(self.plan(), rows);
  nb::gil_scoped_release release;
  self.run_there(whole.batch(), {.micro_tokens = micro_tokens, .rows = rows.data()}, *output,
                 {places.data(), places.size()});
}

using Tokens = nb::ndarray<nb::numpy, int64_t>;
using Values = nb::ndarray<nb::numpy, float>;

// Of each row of results the column of the largest, and the largest.
std::pair<Tokens, Values> run_rows_peaks(DevicePlan& self, const FloatRows& rows, int64_t micro_tokens) {
  const OneSequence whole(self.plan(), rows);
  const runtime::Batch batch = whole.batch();
  const int64_t results = self.plan().gives_tokens() ? batch.tokens() : batch.sequences;
  const auto count = static_cast<size_t>(results);
  std::vector<runtime::Peak> peaks(count);
  {
    nb::gil_scoped_release release;
    self.run_peaks(batch, {.micro_tokens = micro_tokens, .rows = rows.data()}, peaks);
  }
  auto columns = std::make_unique<int64_t[]>(count);
  auto values = std::make_unique<float[]>(count);
  for (size_t i = 0; i < count; ++i) {
    columns[i] = peaks[i].column;
    values[i] = peaks[i].value;
  }
  return {owned(std::move(columns), {count}), owned(std::move(values), {count})};
}

using Words = nb::ndarray<nb::numpy, uint32_t>;
using Temperatures = nb::ndarray<const float, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

// Of each row of results `count` candidates and a sum for each of its temperatures; and some rows.
std::pair<Words, Values> run_rows_candidates(DevicePlan& self, const FloatRows& rows,
                                             const Temperatures& temperatures, int64_t count,
                                             const Numbers& whole, int64_t micro_tokens) {
  const OneSequence sequence(self.plan(), rows);
  const runtime::Batch batch = sequence.batch();
  const auto results = static_cast<size_t>(self.plan().gives_tokens() ? batch.tokens() : batch.sequences);
  if (count < 1 || count > device::kMostCandidates || whole.size() > results) {
    fail(ErrorKind::kInvalidArgument, count, " candidates of a row, 1 to ", device::kMostCandidates, "; ",
         whole.size(), " rows of ", results);
  }
  const size_t stride = 2 * static_cast<size_t>(count) + temperatures.shape(1);
  const auto columns = static_cast<size_t>(self.plan().limits().output_columns);
  auto words = std::make_unique<uint32_t[]>(results * stride);
  auto whole_rows = std::make_unique<float[]>(whole.size() * columns);
  {
    nb::gil_scoped_release release;
    self.run_candidates(batch, {.micro_tokens = micro_tokens, .rows = rows.data()},
                        {.count = count,
                         .sums = static_cast<int64_t>(temperatures.shape(1)),
                         .temperatures = {temperatures.data(), temperatures.size()},
                         .words = {words.get(), results * stride},
                         .whole = {whole.data(), whole.size()},
                         .whole_rows = {whole_rows.get(), whole.size() * columns}});
  }
  return {owned(std::move(words), {results, stride}), owned(std::move(whole_rows), {whole.size(), columns})};
}

std::vector<std::pair<std::string, int64_t>> time_rows(DevicePlan& self, const FloatRows& rows,
                                                       int64_t micro_tokens) {
  const OneSequence whole(self.plan(), rows);
  std::vector<runtime::StepTime> times;
  result_of(self, whole.batch(), {.micro_tokens = micro_tokens, .rows = rows.data()}, &times);
  std::vector<std::pair<std::string, int64_t>> told;
  for (const runtime::StepTime& time : times) told.emplace_back(time.kernel, time.nanoseconds);
  return told;
}

// Sequences of a cache gain their tokens, their pages come to the device first; nothing is gained when it
// fails.
nb::ndarray<nb::numpy, float> run_cached(DevicePlan& self, runtime::KvCache& cache,
                                         const std::vector<int64_t>& sequences,
                                         const std::optional<Numbers>& token_ids, const Numbers& offsets,
                                         int64_t micro_tokens, const std::optional<FloatRows>& rows,
                                         const Looked& looked, const std::optional<Numbers>& looked_offsets) {
  const runtime::Batch batch = cached_batch(self.plan(), sequences.size(), token_ids, offsets, rows);
  const auto memory = memory_there(looked, looked_offsets, batch.sequences);
  const std::vector<runtime::Growth> growth = growth_of(sequences, offsets);
  std::unique_lock<std::mutex> lock;
  {
    nb::gil_scoped_release release;
    lock = cache.guard();
    if (!self.passes()) cache.to_device(self.device());
    cache.prepare(growth);
  }
  runtime::CacheRun run{&cache, {}};
  for (const int64_t sequence : sequences) run.sequences.push_back(&cache.sequence(sequence));
  nb::ndarray<nb::numpy, float> result = result_of(self, batch,
                                                   {.micro_tokens = micro_tokens,
                                                    .rows = rows ? rows->data() : nullptr,
                                                    .cache = &run,
                                                    .memory = memory ? &*memory : nullptr});
  cache.commit(growth);
  return result;
}

}  // namespace

void bind_device_plan(nb::module_& m) {
  using Release = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<DevicePlan>(m, "DevicePlan", "A plan whose operators run as kernels of a device.")
      .def("__init__", &make, nb::arg("plan"), nb::arg("weights"), nb::arg("memory"),
           nb::arg("experts_here") = 0, nb::arg("threads") = nb::none(), nb::arg("passes") = false,
           nb::arg("expert_room") = 0, nb::arg("expert_threshold") = 1.0, nb::arg("mixed") = false,
           nb::arg("graphs") = "auto", nb::arg("wgmma") = true, nb::keep_alive<1, 2>(),
           nb::keep_alive<1, 6>(), Release())
      .def("run", &run, nb::arg("token_ids"), nb::arg("offsets"), nb::arg("normalise") = false,
           nb::arg("micro_tokens") = 4096, nb::arg("memory") = nb::none(),
           nb::arg("memory_offsets") = nb::none())
      .def("run_rows", &run_rows, nb::arg("rows"), nb::arg("micro_tokens") = 4096,
           nb::arg("offsets") = nb::none(), nb::arg("normalise") = false)
      .def("run_there", &run_there, nb::arg("token_ids"), nb::arg("offsets"), nb::arg("output"),
           nb::arg("places"), nb::arg("normalise") = false, nb::arg("micro_tokens") = 4096,
           "As run(); result i becomes row places[i] of `output`.")
      .def("run_rows_there", &run_rows_there, nb::arg("rows"), nb::arg("output"), nb::arg("places"),
           nb::arg("micro_tokens") = 4096)
      .def("run_rows_peaks", &run_rows_peaks, nb::arg("rows"), nb::arg("micro_tokens") = 4096,
           "As run_rows(); of each row of results the column of the largest, and the largest, alone.")
      .def(
          "run_rows_candidates", &run_rows_candidates, nb::arg("rows"), nb::arg("temperatures"),
          nb::arg("count"), nb::arg("whole"), nb::arg("micro_tokens") = 4096,
          "As run_rows(); of each row of results the columns of the `count` largest, the bits of their "
          "values, and those of a sum of exponentials for each temperature of the row; and the rows `whole`.")
      .def(
          "rows",
          [](const DevicePlan& self, int64_t count) {
            return runtime::SharedRows::on(self.device(), count, self.plan().limits().output_columns);
          },
          nb::arg("count"), Release(), "Memory of the device for so many results.")
      .def("time_rows", &time_rows, nb::arg("rows"), nb::arg("micro_tokens") = 4096,
           "Nanoseconds that each kernel of such a forward took on the device, in order.")
      .def("run_cached", &run_cached, nb::arg("cache"), nb::arg("sequences"), nb::arg("token_ids").none(),
           nb::arg("offsets"), nb::arg("micro_tokens") = 4096, nb::arg("rows") = nb::none(),
           nb::arg("memory") = nb::none(), nb::arg("memory_offsets") = nb::none(),
           "Appends tokens to sequences of a cache, whose pages come to the device.")
      .def("most_rows", &DevicePlan::most_rows, nb::arg("size"),
           "The most rows of a forward that takes so many bytes of the device at most; 64 at least.")
      .def_prop_ro("sent_bytes", &DevicePlan::sent_bytes)
      .def_prop_ro("is_mixed", &DevicePlan::is_mixed,
                   "Whether activations in float32 are rounded to bfloat16 for any product.")
      .def_prop_ro("has_wgmma", &DevicePlan::has_wgmma,
                   "Whether large products may be those of warpgroups (linear_bf16_*_wgmma).")
      .def_prop_ro("left_out", &DevicePlan::left_out,
                   "Kernels that were tried and are not used, each with what was found.")
      .def("expert_counters", &expert_counters)
      .def("graph_counters", &graph_counters)
      .def(
          "give_way",
          [](DevicePlan& self) {
            self.drop_graphs();
            if (self.expert_cache() != nullptr) self.expert_cache()->give_way();
          },
          Release(), "Memory is short: graphs go, and half of the single experts.")
      .def(
          "settle_experts",
          [](const DevicePlan& self) {
            if (self.expert_cache() != nullptr) self.expert_cache()->settle();
          },
          Release(), "Waits until no single expert is on its way.")
      .def("kernels", &DevicePlan::kernels);
}

}  // namespace arrowmind::bindings

#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrow/mapped_file.h"
#include "base/checked.h"
#include "base/error.h"
#include "bindings/arrays.h"
#include "bindings/bindings.h"
#include "bindings/rows.h"
#include "runtime/on_device/device_plan.h"

namespace arrowmind::bindings {
namespace {

using device::CachingAllocator;
using runtime::DevicePlan;
using runtime::DeviceWeights;
using runtime::Plan;
using Numbers = Offsets;

void make(DevicePlan* self, const Plan& plan, std::shared_ptr<DeviceWeights> weights,
          std::shared_ptr<CachingAllocator> memory, int64_t experts_here, ThreadPool* threads, bool passes,
          int64_t expert_room, double expert_threshold) {
  new (self) DevicePlan(plan, std::move(weights), std::move(memory),
                        {.experts_here = experts_here,
                         .threads = threads,
                         .passes = passes,
                         .cache = {.room_bytes = expert_room, .threshold = expert_threshold}});
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

nb::ndarray<nb::numpy, float> result_of(DevicePlan& self, const Plan& plan, const runtime::Batch& batch,
                                        const runtime::RunOptions& options,
                                        std::vector<runtime::StepTime>* times = nullptr) {
  const int64_t rows = plan.gives_tokens() ? batch.tokens() : batch.sequences;
  const int64_t columns = plan.limits().output_columns;
  auto result = std::make_unique<float[]>(static_cast<size_t>(rows * columns));
  float* output = result.get();
  {
    nb::gil_scoped_release release;
    self.run(batch, options, output, times);
  }
  nb::capsule owner(result.release(), [](void* p) noexcept { delete[] static_cast<float*>(p); });
  return {output, {static_cast<size_t>(rows), static_cast<size_t>(columns)}, owner};
}

nb::ndarray<nb::numpy, float> run(DevicePlan& self, const Numbers& token_ids, const Numbers& offsets,
                                  bool normalise, int64_t micro_tokens) {
  if (offsets.size() < 1) {
    fail(ErrorKind::kInvalidArgument, "offsets is empty; it needs sequences + 1 values");
  }
  const Plan& plan = self.plan();
  const runtime::Batch batch{token_ids.data(), offsets.data(), static_cast<int64_t>(offsets.size()) - 1};
  runtime::validate(batch, static_cast<int64_t>(token_ids.size()), plan.limits().max_length,
                    plan.limits().vocabulary);
  return result_of(self, plan, batch, {.micro_tokens = micro_tokens, .normalise = normalise});
}

runtime::Batch check_rows(const Plan& plan, const FloatRows& rows, const int32_t* offsets) {
  check_columns(plan, rows);
  return {nullptr, offsets, rows.shape(0) > 0 ? 1 : 0};
}

// Offsets of all rows as one sequence.
std::array<int32_t, 2> whole(const FloatRows& rows) {
  if (rows.shape(0) > INT32_MAX) {
    fail(ErrorKind::kInvalidArgument, rows.shape(0), " rows; run fewer at a time");
  }
  return {0, static_cast<int32_t>(rows.shape(0))};
}

nb::ndarray<nb::numpy, float> run_rows(DevicePlan& self, const FloatRows& rows, int64_t micro_tokens,
                                       const std::optional<Offsets>& offsets) {
  const std::array<int32_t, 2> one = whole(rows);
  runtime::Batch batch = check_rows(self.plan(), rows, one.data());
  if (offsets) batch = batch_of_rows(self.plan(), rows, *offsets);
  return result_of(self, self.plan(), batch, {.micro_tokens = micro_tokens, .rows = rows.data()});
}

// Results stay on the device, as rows `places` of `output`.
void run_there(DevicePlan& self, const Numbers& token_ids, const Numbers& offsets,
               const std::shared_ptr<runtime::SharedRows>& output, const Numbers& places, bool normalise,
               int64_t micro_tokens) {
  if (offsets.size() < 1) {
    fail(ErrorKind::kInvalidArgument, "offsets is empty; it needs sequences + 1 values");
  }
  const Plan& plan = self.plan();
  const runtime::Batch batch{token_ids.data(), offsets.data(), static_cast<int64_t>(offsets.size()) - 1};
  runtime::validate(batch, static_cast<int64_t>(token_ids.size()), plan.limits().max_length,
                    plan.limits().vocabulary);
  nb::gil_scoped_release release;
  self.run_there(batch, {.micro_tokens = micro_tokens, .normalise = normalise}, *output,
                 {places.data(), places.size()});
}

void run_rows_there(DevicePlan& self, const FloatRows& rows,
                    const std::shared_ptr<runtime::SharedRows>& output, const Numbers& places,
                    int64_t micro_tokens) {
  const std::array<int32_t, 2> offsets = whole(rows);
  const runtime::Batch batch = check_rows(self.plan(), rows, offsets.data());
  nb::gil_scoped_release release;
  self.run_there(batch, {.micro_tokens = micro_tokens, .rows = rows.data()}, *output,
                 {places.data(), places.size()});
}

std::vector<std::pair<std::string, int64_t>> time_rows(DevicePlan& self, const FloatRows& rows,
                                                       int64_t micro_tokens) {
  const std::array<int32_t, 2> offsets = whole(rows);
  const runtime::Batch batch = check_rows(self.plan(), rows, offsets.data());
  std::vector<runtime::StepTime> times;
  result_of(self, self.plan(), batch, {.micro_tokens = micro_tokens, .rows = rows.data()}, &times);
  std::vector<std::pair<std::string, int64_t>> told;
  for (const runtime::StepTime& time : times) told.emplace_back(time.kernel, time.nanoseconds);
  return told;
}

// Sequences of a cache gain their tokens, their pages come to the device first; nothing is gained when it
// fails.
nb::ndarray<nb::numpy, float> run_cached(DevicePlan& self, runtime::KvCache& cache,
                                         const std::vector<int64_t>& sequences,
                                         const std::optional<Numbers>& token_ids, const Numbers& offsets,
                                         int64_t micro_tokens, const std::optional<FloatRows>& rows) {
  const Plan& plan = self.plan();
  const runtime::Batch batch = cached_batch(plan, sequences.size(), token_ids, offsets, rows);
  std::vector<runtime::Growth> growth;
  for (size_t s = 0; s < sequences.size(); ++s) {
    growth.push_back({sequences[s], offsets.data()[s + 1] - offsets.data()[s]});
  }
  std::unique_lock<std::mutex> lock;
  {
    nb::gil_scoped_release release;
    lock = cache.guard();
    if (!self.passes()) cache.to_device(self.device());
    cache.prepare(growth);
  }
  runtime::CacheRun run{&cache, {}};
  for (const int64_t sequence : sequences) run.sequences.push_back(&cache.sequence(sequence));
  nb::ndarray<nb::numpy, float> result =
      result_of(self, plan, batch,
                {.micro_tokens = micro_tokens, .rows = rows ? rows->data() : nullptr, .cache = &run});
  cache.commit(growth);
  return result;
}

nb::dict told(const runtime::UploadCounters& counters) {
  nb::dict row;
  row["bytes"] = counters.bytes;
  row["ring_bytes"] = counters.ring_bytes;
  row["registered_bytes"] = counters.registered_bytes;
  row["seconds"] = static_cast<double>(counters.nanoseconds) * 1e-9;
  row["read_seconds"] = static_cast<double>(counters.reading) * 1e-9;
  row["copy_seconds"] = static_cast<double>(counters.copying) * 1e-9;
  return row;
}

nb::dict time_upload(const std::shared_ptr<device::Device>& device, const nb::bytes& path, int64_t size,
                     bool reads, bool copies, bool registers, double pace) {
  constexpr int64_t kTarget = int64_t{256} << 20, kPart = int64_t{32} << 20;
  const std::string name(path.c_str(), path.size());
  runtime::UploadCounters counters;
  {
    nb::gil_scoped_release release;
    const auto file = arrow::MappedFile::open(name);
    if (size < 1 || size > file->size()) {
      fail(ErrorKind::kInvalidArgument, size, " bytes of a file of ", file->size(), "; 1 at least");
    }
    const device::Buffer target = device->allocate(std::min(size, kTarget));
    runtime::Upload upload(device, {.reads = reads, .copies = copies, .registers = registers, .pace = pace});
    for (int64_t done = 0; done < size; done += kPart) {
      upload.copy({&target, done % kTarget}, file->data() + done, std::min(kPart, size - done));
    }
    upload.finish();
    counters = upload.counters();
  }
  return told(counters);
}

// Bytes of a file by way of a device, as weights go there.
nb::ndarray<nb::numpy, uint8_t> upload_back(const std::shared_ptr<device::Device>& device,
                                            const nb::bytes& path, int64_t offset, int64_t size) {
  const std::string name(path.c_str(), path.size());
  std::unique_ptr<uint8_t[]> result;
  {
    nb::gil_scoped_release release;
    const auto file = arrow::MappedFile::open(name);
    if (size < 1 || offset < 0 || !range_fits(offset, size, file->size())) {
      fail(ErrorKind::kInvalidArgument, size, " bytes at ", offset, " of a file of ", file->size());
    }
    result = std::make_unique<uint8_t[]>(static_cast<size_t>(size));
    const device::Buffer target = device->allocate(size);
    runtime::Upload upload(device);
    const int64_t part = size / 3 + 1;  // none of which begins at a page
    for (int64_t done = 0; done < size; done += part) {
      upload.copy({&target, done}, file->data() + offset + done, std::min(part, size - done));
    }
    upload.finish();
    device::Stream stream = device->stream();
    stream.copy_out(result.get(), {&target, 0}, size);
    stream.synchronise();
  }
  uint8_t* data = result.release();
  const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<uint8_t*>(p); });
  return {data, {static_cast<size_t>(size)}, owner};
}

}  // namespace

void bind_device_plan(nb::module_& m) {
  using Release = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<DeviceWeights>(m, "DeviceWeights", "What plans of one model read on one device.")
      .def(nb::init<std::shared_ptr<device::Device>>(), nb::arg("device"), Release())
      .def_prop_ro("bytes", &DeviceWeights::bytes)
      .def("uploaded", [](const DeviceWeights& self) { return told(self.uploaded()); });
  m.def("upload_back", &upload_back, nb::arg("device"), nb::arg("path"), nb::arg("offset"), nb::arg("size"),
        "Bytes of a file by way of a device, as weights go there.");
  m.def("time_upload", &time_upload, nb::arg("device"), nb::arg("path"), nb::arg("size"), nb::kw_only(),
        nb::arg("reads") = true, nb::arg("copies") = true, nb::arg("registers") = true, nb::arg("pace") = 0.0,
        "Copies the first bytes of a file to a device, round and round in a buffer there.");
  nb::class_<DevicePlan>(m, "DevicePlan", "A plan whose operators run as kernels of a device.")
      .def("__init__", &make, nb::arg("plan"), nb::arg("weights"), nb::arg("memory"),
           nb::arg("experts_here") = 0, nb::arg("threads") = nb::none(), nb::arg("passes") = false,
           nb::arg("expert_room") = 0, nb::arg("expert_threshold") = 1.0, nb::keep_alive<1, 2>(),
           nb::keep_alive<1, 6>(), Release())
      .def("run", &run, nb::arg("token_ids"), nb::arg("offsets"), nb::arg("normalise") = false,
           nb::arg("micro_tokens") = 4096)
      .def("run_rows", &run_rows, nb::arg("rows"), nb::arg("micro_tokens") = 4096,
           nb::arg("offsets") = nb::none())
      .def("run_there", &run_there, nb::arg("token_ids"), nb::arg("offsets"), nb::arg("output"),
           nb::arg("places"), nb::arg("normalise") = false, nb::arg("micro_tokens") = 4096,
           "As run(); result i becomes row places[i] of `output`.")
      .def("run_rows_there", &run_rows_there, nb::arg("rows"), nb::arg("output"), nb::arg("places"),
           nb::arg("micro_tokens") = 4096)
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
           "Appends tokens to sequences of a cache, whose pages come to the device.")
      .def_prop_ro("sent_bytes", &DevicePlan::sent_bytes)
      .def("expert_counters", &expert_counters)
      .def(
          "give_way",
          [](const DevicePlan& self) {
            if (self.expert_cache() != nullptr) self.expert_cache()->give_way();
          },
          Release(), "Memory is short: half of the single experts go.")
      .def(
          "settle_experts",
          [](const DevicePlan& self) {
            if (self.expert_cache() != nullptr) self.expert_cache()->settle();
          },
          Release(), "Waits until no single expert is on its way.")
      .def("kernels", &DevicePlan::kernels);
}

}  // namespace arrowmind::bindings

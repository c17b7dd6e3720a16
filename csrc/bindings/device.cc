#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "bindings/bindings.h"
#include "device/caching_allocator.h"
#include "device/graph.h"
#include "device/registry.h"
#include "device/resources.h"
#include "runtime/on_device/wgmma_trial.h"

namespace arrowmind::bindings {
namespace {

using device::Buffer;
using device::CachingAllocator;
using device::Device;
using device::Event;
using device::Registry;
using device::Slice;
using device::Stream;
using ReadOnly = nb::ndarray<const uint8_t, nb::ro, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Writable = nb::ndarray<uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// A stream and the host memory that its work may still use.
struct HeldStream {
  explicit HeldStream(Stream made) : stream(std::move(made)) {}
  std::vector<nb::object> held;  // goes away after the stream, which waits for its work
  Stream stream;

  void synchronise() {
    {
      nb::gil_scoped_release release;
      stream.synchronise();
    }
    held.clear();
  }
};

// Bytes of a buffer, whether of the device itself or of its allocator.
Slice slice_of(const nb::object& memory, int64_t offset) {
  if (nb::isinstance<Buffer>(memory)) return {&nb::cast<const Buffer&>(memory), offset};
  return {&nb::cast<const CachingAllocator::Block&>(memory).buffer(), offset};
}

void copy_in(HeldStream& self, const nb::object& to, int64_t offset, const ReadOnly& from) {
  self.held.push_back(nb::cast(from));
  self.stream.copy_in(slice_of(to, offset), from.data(), static_cast<int64_t>(from.size()));
}

void copy_out(HeldStream& self, const Writable& to, const nb::object& from, int64_t offset) {
  self.held.push_back(nb::cast(to));
  self.stream.copy_out(to.data(), slice_of(from, offset), static_cast<int64_t>(to.size()));
}

std::span<const std::byte> bytes_of(const nb::bytes& parameters) {
  return {reinterpret_cast<const std::byte*>(parameters.c_str()), parameters.size()};
}

std::vector<Slice> slices_of(const std::vector<nb::object>& memory) {
  std::vector<Slice> slices;
  for (const nb::object& one : memory) slices.push_back(slice_of(one, 0));
  return slices;
}

device::Grid line(uint32_t groups, uint32_t threads) {
  return {.groups = {groups, 1, 1}, .threads = {threads, 1, 1}, .shared_bytes = 0};
}

void launch(HeldStream& self, uint64_t kernel, uint32_t groups, uint32_t threads,
            const std::vector<nb::object>& memory, const nb::bytes& parameters) {
  self.stream.launch(kernel, line(groups, threads), slices_of(memory), bytes_of(parameters));
}

// A graph and the memory that its launches name. Streams need not hold it: when it goes, it waits for its
// work.
struct HeldGraph {
  std::vector<nb::object> held;
  device::Graph graph;
};

using Launch = std::tuple<uint64_t, uint32_t, uint32_t, std::vector<nb::object>, nb::bytes>;

HeldGraph* graph_of(Device& self, const std::vector<Launch>& launches) {
  device::LaunchList list(self.shared_from_this());
  std::vector<nb::object> held;
  for (const auto& [kernel, groups, threads, memory, parameters] : launches) {
    list.add(kernel, line(groups, threads), slices_of(memory), bytes_of(parameters));
    held.insert(held.end(), memory.begin(), memory.end());
  }
  return new HeldGraph{std::move(held), self.graph(list)};
}

// A kernel over items of work in three directions, groups as it wants them; places are memory and an offset.
void launch_over(HeldStream& self, const std::string& name, const std::array<uint32_t, 3>& work,
                 const std::vector<std::pair<nb::object, int64_t>>& places, const nb::bytes& parameters) {
  device::Device& device = *self.stream.device();
  const uint64_t kernel = device.kernel(name);
  const device::KernelShape shape = device.kernel_shape(kernel, name);
  device::Grid grid;
  for (size_t i = 0; i < 3; ++i) {
    grid.groups[i] = static_cast<uint32_t>(ceil_div(int64_t{work[i]}, int64_t{shape.tile[i]}));
    grid.threads[i] = shape.threads[i];
  }
  grid.shared_bytes = shape.shared_bytes;
  std::vector<Slice> slices;
  for (const auto& [memory, offset] : places) slices.push_back(slice_of(memory, offset));
  self.stream.launch(kernel, grid, slices, bytes_of(parameters));
}

nb::dict described(const device::DeviceInfo& info) {
  nb::dict row;
  row["name"] = info.name;
  row["driver"] = info.driver;
  row["architecture"] = info.architecture;
  row["total_bytes"] = info.total_bytes;
  row["alignment_bytes"] = info.alignment_bytes;
  row["most_place_bytes"] = info.most_place_bytes;
  row["shares_host_memory"] = info.shares_host_memory;
  row["is_software"] = info.is_software;
  return row;
}

nb::dict probed(Registry& self, const std::string& kind) {
  device::Probed found;
  {
    nb::gil_scoped_release release;
    found = self.probe(kind);
  }
  nb::dict row;
  nb::list devices;
  for (const device::DeviceInfo& info : found.devices) devices.append(described(info));
  row["kind"] = found.kind;
  row["availability"] = device::availability_name(found.availability);
  row["words"] = found.words;
  row["devices"] = devices;
  return row;
}

nb::dict counters(const CachingAllocator& self) {
  const device::AllocatorCounters c = self.counters();
  nb::dict row;
  row["in_use_bytes"] = c.in_use_bytes;
  row["reserved_bytes"] = c.reserved_bytes;
  row["peak_in_use_bytes"] = c.peak_in_use_bytes;
  row["peak_reserved_bytes"] = c.peak_reserved_bytes;
  row["requests"] = c.requests;
  row["reused"] = c.reused;
  row["trims"] = c.trims;
  row["retries"] = c.retries;
  row["failures"] = c.failures;
  return row;
}

void bind_resources(nb::module_& m) {
  nb::class_<Buffer>(m, "DeviceBuffer", "Memory of a device.").def_prop_ro("bytes", [](const Buffer& self) {
    return self.bytes();
  });
  nb::class_<Event>(m, "DeviceEvent", "A point in the work of a stream.")
      .def("is_reached", &Event::is_reached)
      .def("nanoseconds_until", &Event::nanoseconds_until, nb::arg("later"));
  nb::class_<device::PinnedMemory>(m, "PinnedMemory", "Host memory that copies reach directly.")
      .def_prop_ro("bytes", &device::PinnedMemory::bytes);
  nb::class_<device::Registration>(m, "HostRegistration", "Host memory made known to a device.");
  nb::class_<HeldGraph>(m, "DeviceGraph", "Launches that run as one; keeps the memory that they name.")
      .def_prop_ro("launches", [](const HeldGraph& self) { return self.graph.launches(); });
  nb::class_<HeldStream>(m, "DeviceStream", "Work of a device, in order; keeps what copies use until then.")
      .def("copy_in", &copy_in, nb::arg("to"), nb::arg("offset"), nb::arg("source"))
      .def("copy_out", &copy_out, nb::arg("to"), nb::arg("source"), nb::arg("offset"))
      .def(
          "copy_within",
          [](HeldStream& self, const nb::object& to, int64_t to_offset, const nb::object& from,
             int64_t from_offset, int64_t bytes) {
            self.stream.copy_within(slice_of(to, to_offset), slice_of(from, from_offset), bytes);
          },
          nb::arg("to"), nb::arg("to_offset"), nb::arg("source"), nb::arg("source_offset"), nb::arg("size"))
      .def(
          "record", [](HeldStream& self, Event& event) { self.stream.record(event); }, nb::arg("event"))
      .def(
          "wait", [](HeldStream& self, Event& event) { self.stream.wait(event); }, nb::arg("event"))
      .def("launch", &launch, nb::arg("kernel"), nb::arg("groups"), nb::arg("threads"), nb::arg("memory"),
           nb::arg("parameters"))
      .def("launch_over", &launch_over, nb::arg("name"), nb::arg("work"), nb::arg("places"),
           nb::arg("parameters"), "A kernel of device/kernels.h over items of work in three directions.")
      .def(
          "run", [](HeldStream& self, const HeldGraph& graph) { self.stream.run(graph.graph); },
          nb::arg("graph"), "The launches of a graph, which must not be under way elsewhere.")
      .def("synchronise", &HeldStream::synchronise, "Waits for the work submitted until now.");
}

void bind_allocator(nb::module_& m) {
  nb::class_<CachingAllocator::Block>(m, "DeviceBlock", "Memory of an allocator, given back when it goes.")
      .def_prop_ro("bytes", &CachingAllocator::Block::bytes)
      .def_prop_ro("reserved_bytes",
                   [](const CachingAllocator::Block& self) { return self.buffer().bytes(); });
  nb::class_<CachingAllocator>(m, "CachingAllocator", "Memory of a device by size classes, kept for later.")
      .def(nb::init<std::shared_ptr<Device>, int64_t>(), nb::arg("device"), nb::arg("limit_bytes") = 0)
      .def(
          "allocate",
          [](CachingAllocator& self, int64_t bytes, HeldStream& stream) {
            nb::gil_scoped_release release;
            return self.allocate(bytes, stream.stream);
          },
          nb::arg("size"), nb::arg("stream"), nb::keep_alive<0, 3>())
      .def("trim", &CachingAllocator::trim, nb::arg("keep_bytes") = 0,
           nb::call_guard<nb::gil_scoped_release>())
      .def("counters", &counters);
}

}  // namespace

void bind_device(nb::module_& m) {
  bind_resources(m);
  nb::class_<Device>(m, "Device", "An open device.")
      .def_prop_ro("name", &Device::name)
      .def_prop_ro("is_lost", &Device::is_lost)
      .def("info", [](const Device& self) { return described(self.info()); })
      .def(
          "memory",
          [](Device& self) {
            const device::MemoryInfo info = self.memory();
            return nb::make_tuple(info.free_bytes, info.total_bytes);
          },
          "Bytes that are free, and all.")
      .def("allocate", &Device::allocate, nb::arg("size"), nb::call_guard<nb::gil_scoped_release>())
      .def(
          "limit", [](Device& self, int64_t bytes) { self.limit(bytes); }, nb::arg("size"),
          "At most so many bytes at a time; 0: no bound.")
      .def_prop_ro("taken_bytes", &Device::taken, "By buffers.")
      .def("stream", [](Device& self) { return new HeldStream(self.stream()); })
      .def("event", &Device::event)
      .def("pinned", &Device::pinned, nb::arg("size"), nb::call_guard<nb::gil_scoped_release>())
      .def(
          "register_host",
          [](Device& self, const ReadOnly& memory) {
            return self.register_host(memory.data(), static_cast<int64_t>(memory.size()));
          },
          nb::arg("memory"), nb::keep_alive<0, 2>())
      .def("try_wgmma", &runtime::try_wgmma, nb::arg("kernel"), nb::call_guard<nb::gil_scoped_release>(),
           "What a trial of linear_bf16_<weights>_wgmma found against mma.sync; empty: the same results.")
      .def("kernel", &Device::kernel, nb::arg("name"))
      .def_prop_ro("has_graphs", &Device::has_graphs)
      .def("graph", &graph_of, nb::arg("launches"),
           "Launches, each (kernel, groups, threads, memory, parameters), made ready to run as one.");
  bind_allocator(m);
  nb::class_<Registry>(m, "DeviceRegistry", "The back ends of devices in a folder; the cpu is built in.")
      .def(nb::init<std::string>(), nb::arg("folder") = "")
      .def_prop_ro("folder", &Registry::folder)
      .def("probe", &probed, nb::arg("kind"), "What is there of a kind of device, and why not.")
      .def("open", &Registry::open, nb::arg("kind"), nb::arg("index") = 0,
           nb::call_guard<nb::gil_scoped_release>());
  nb::list kinds;
  for (const char* kind : device::kKinds) kinds.append(kind);
  m.attr("DEVICE_KINDS") = nb::tuple(kinds);
}

}  // namespace arrowmind::bindings

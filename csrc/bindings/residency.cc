#include "residency/residency.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "bindings/bindings.h"

namespace arrowmind::bindings {
namespace {

using residency::Policy;
using residency::Residency;
using Blocks = std::vector<int32_t>;
using Bytes = nb::ndarray<nb::numpy, const uint8_t, nb::ro, nb::ndim<1>>;

Policy policy_of(const std::string& name) {
  if (name == "least-recent") return Policy::kLeastRecent;
  if (name == "farthest") return Policy::kFarthest;
  fail(ErrorKind::kInvalidArgument, "policy '", name, "'; use least-recent or farthest");
}

std::shared_ptr<Residency> open(const nb::bytes& path, int64_t budget, int threads, const std::string& policy,
                                bool direct) {
  const residency::Settings settings = {.budget = budget, .threads = threads, .policy = policy_of(policy)};
  auto file = arrow::OnDemandFile::open(std::string(path.c_str(), path.size()), direct);
  return std::make_shared<Residency>(std::move(file), settings);
}

int add(Residency& self, const std::vector<std::pair<int64_t, int64_t>>& ranges, int64_t place, bool asked) {
  std::vector<arrow::FileRange> found;
  for (const auto& [offset, size] : ranges) found.push_back({offset, size});
  return self.add(found, place, asked);
}

// Bytes of the file at addresses that can be read while their block is acquired, and only then.
Bytes view(const std::shared_ptr<Residency>& self, int64_t offset, int64_t size) {
  if (!range_fits(offset, size, self->file()->size())) {
    fail(ErrorKind::kInvalidArgument, "bytes ", offset, " to ", offset + size, " of ", self->file()->path(),
         ", which has ", self->file()->size());
  }
  using Held = std::shared_ptr<Residency>;
  const nb::capsule owner(new Held(self), [](void* held) noexcept { delete static_cast<Held*>(held); });
  return Bytes(self->file()->data() + offset, {static_cast<size_t>(size)}, owner);
}

nb::bytes held(const Residency& self, int32_t block, int64_t offset, int64_t size) {
  if (!range_fits(offset, size, self.file()->size()) || size < 1) {
    fail(ErrorKind::kInvalidArgument, "bytes ", offset, " to ", offset + size, " of ", self.file()->path());
  }
  const uint8_t *first = self.address(block, offset), *last = self.address(block, offset + size - 1);
  if (last - first != size - 1) {
    fail(ErrorKind::kInvalidArgument, "bytes ", offset, " to ", offset + size, " do not lie in one piece");
  }
  return nb::bytes(reinterpret_cast<const char*>(first), static_cast<size_t>(size));
}

nb::dict counters(const Residency& self) {
  const residency::Counters c = self.counters();
  nb::dict found;
  found["hits"] = c.hits;
  found["late"] = c.late;
  found["misses"] = c.misses;
  found["evictions"] = c.evictions;
  found["prefetched"] = c.prefetched;
  found["wasted"] = c.wasted;
  found["bytes_read"] = c.bytes_read;
  found["bytes_wasted"] = c.bytes_wasted;
  found["stalled_seconds"] = static_cast<double>(c.stalled_ns) * 1e-9;
  found["resident_bytes"] = c.resident_bytes;
  found["peak_bytes"] = c.peak_bytes;
  found["pinned_bytes"] = c.pinned_bytes;
  found["resident_blocks"] = c.resident_blocks;
  return found;
}

}  // namespace

void bind_residency(nb::module_& m) {
  const auto unlocked = nb::call_guard<nb::gil_scoped_release>();
  nb::class_<Residency>(m, "Residency", "Blocks of a file, in memory within a budget.")
      .def_static("open", &open, nb::arg("path"), nb::arg("budget"), nb::arg("threads") = 4,
                  nb::arg("policy") = "farthest", nb::arg("direct") = true)
      .def("add", &add, nb::arg("ranges"), nb::arg("place"), nb::arg("asked") = false,
           "Adds a block of ranges (offset, size) of the file; its number.")
      .def("held", &held, nb::arg("block"), nb::arg("offset"), nb::arg("size"),
           "A copy of bytes of the file that lie in a block which is acquired.")
      .def(
          "pin", [](Residency& self, int64_t offset, int64_t size) { self.pin({offset, size}); },
          nb::arg("offset"), nb::arg("size"))
      .def(
          "block_bytes",
          [](const Residency& self) {
            std::vector<int64_t> found;
            for (int32_t i = 0; i < self.blocks(); ++i) found.push_back(self.block_bytes(i));
            return found;
          },
          "Memory of each block, once they are sealed.")
      .def("seal", &Residency::seal, unlocked, "Loads what is pinned; no block can be added afterwards.")
      .def(
          "acquire", [](Residency& self, const Blocks& blocks) { self.acquire(blocks); }, nb::arg("blocks"),
          unlocked, "Waits until the blocks are in memory; they stay until released.")
      .def(
          "acquire_first",
          [](Residency& self, const Blocks& blocks, bool together) {
            return self.acquire_first(blocks, together);
          },
          nb::arg("blocks"), nb::arg("together") = false, unlocked,
          "Sends for all, waits for the first or for all that fit together, leases what is there of the "
          "beginning; their number.")
      .def(
          "release", [](Residency& self, const Blocks& blocks) { self.release(blocks); }, nb::arg("blocks"),
          unlocked)
      .def(
          "prefetch", [](Residency& self, const Blocks& blocks) { self.prefetch(blocks); }, nb::arg("blocks"),
          unlocked)
      .def(
          "prefetch_likely",
          [](Residency& self, const Blocks& blocks, double threshold) {
            self.prefetch_likely(blocks, threshold);
          },
          nb::arg("blocks"), nb::arg("threshold"), unlocked)
      .def(
          "retire", [](Residency& self, const Blocks& blocks) { self.retire(blocks); }, nb::arg("blocks"),
          unlocked, "Blocks that were copied elsewhere: the first to give way.")
      .def(
          "pass_over",
          [](Residency& self, const Blocks& blocks, bool whole) { self.pass_over(blocks, whole); },
          nb::arg("blocks"), nb::arg("whole"), unlocked,
          "Blocks that are used where they were copied; `whole`: nothing else of their place is asked for.")
      .def("lend", &Residency::lend, nb::arg("block"), unlocked,
           "Holds a block for a copy if it is there and room is left for others; whether it is lent.")
      .def("take_back", &Residency::take_back, nb::arg("block"), unlocked)
      .def(
          "expect", [](Residency& self, const Blocks& blocks) { self.expect(blocks); }, nb::arg("blocks"),
          unlocked, "Guesses that these are asked for next, the surest first.")
      .def("set_budget", &Residency::set_budget, nb::arg("size"), unlocked)
      .def("view", &view, nb::arg("offset"), nb::arg("size"),
           "Read-only uint8; to be read while its block is acquired, and only then.")
      .def("counters", &counters)
      .def_prop_ro("budget", &Residency::budget)
      .def_prop_ro("needed_bytes", &Residency::needed_bytes)
      .def_prop_ro("is_direct", [](const Residency& self) { return self.file()->is_direct(); });
}

}  // namespace arrowmind::bindings

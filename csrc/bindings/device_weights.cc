#include "runtime/on_device/device_weights.h"

#include <nanobind/stl/shared_ptr.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "arrow/mapped_file.h"
#include "base/checked.h"
#include "base/error.h"
#include "bindings/bindings.h"
#include "bindings/owned.h"
#include "runtime/on_device/upload.h"

namespace arrowmind::bindings {
namespace {

using runtime::DeviceWeights;

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
  return owned(std::move(result), {static_cast<size_t>(size)});
}

}  // namespace

void bind_device_weights(nb::module_& m) {
  nb::class_<DeviceWeights>(m, "DeviceWeights", "What plans of one model read on one device.")
      .def(nb::init<std::shared_ptr<device::Device>>(), nb::arg("device"),
           nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("bytes", &DeviceWeights::bytes)
      .def("uploaded", [](const DeviceWeights& self) { return told(self.uploaded()); });
  m.def("upload_back", &upload_back, nb::arg("device"), nb::arg("path"), nb::arg("offset"), nb::arg("size"),
        "Bytes of a file by way of a device, as weights go there.");
  m.def("time_upload", &time_upload, nb::arg("device"), nb::arg("path"), nb::arg("size"), nb::kw_only(),
        nb::arg("reads") = true, nb::arg("copies") = true, nb::arg("registers") = true, nb::arg("pace") = 0.0,
        "Copies the first bytes of a file to a device, round and round in a buffer there.");
}

}  // namespace arrowmind::bindings

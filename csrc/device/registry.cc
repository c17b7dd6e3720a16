#include "device/registry.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "device/cpu_backend.h"

namespace arrowmind::device {
namespace {

constexpr int32_t kMostDevices = 256;

Availability availability_of(int32_t answer) {
  switch (answer) {
    case ARROWMIND_USABLE:
      return Availability::kUsable;
    case ARROWMIND_NO_DRIVER:
      return Availability::kNoDriver;
    case ARROWMIND_NO_DEVICE:
      return Availability::kNoDevice;
    case ARROWMIND_DRIVER_TOO_OLD:
      return Availability::kDriverTooOld;
    default:
      return Availability::kProbeFailed;
  }
}

std::string library_name(const std::string& kind) {
  return "arrowmind_device_" + kind + ".so";
}

// Asks the back end itself; may throw what that throws.
void ask(const ArrowmindBackend& backend, Probed* probed) {
  int32_t count = 0;
  ArrowmindWords words = {};
  probed->availability = availability_of(backend.probe(&count, &words));
  probed->words = plain_text(words.text, sizeof words.text);
  if (probed->availability != Availability::kUsable) return;
  probed->words.clear();
  if (count == 0) probed->availability = Availability::kNoDevice;
  if (count < 0 || count > kMostDevices) {
    probed->availability = Availability::kProbeFailed;
    probed->words = cat("the back end tells of ", count, " devices");
    return;
  }
  for (int32_t i = 0; i < count; ++i) {
    probed->devices.push_back(describe(backend, i, cat(probed->kind, ":", i)));
  }
}

}  // namespace

const char* availability_name(Availability availability) {
  constexpr const char* kNames[] = {"usable",    "not-built",      "broken",      "no-driver",
                                    "no-device", "driver-too-old", "probe-failed"};
  return kNames[static_cast<size_t>(availability)];
}

Registry::Registry(std::string folder) : folder_(std::move(folder)) {
  if (folder_.empty()) folder_ = own_folder();
}

Loaded Registry::load(const std::string& kind) {
  if (kind == "cpu") return {.backend = &cpu_backend(), .is_absent = false, .refusal = ""};
  if (std::ranges::find(kKinds, kind) == kKinds.end()) {
    fail(ErrorKind::kInvalidArgument, "device '", plain_text(kind.data(), kind.size()), "' is unknown");
  }
  const std::lock_guard lock(mutex_);
  if (const auto found = loaded_.find(kind); found != loaded_.end()) {
    return {.backend = found->second, .is_absent = false, .refusal = ""};
  }
  Loaded loaded = load_backend(folder_ + "/" + library_name(kind));
  if (loaded.backend != nullptr) loaded_[kind] = loaded.backend;
  return loaded;
}

Probed Registry::probe(const std::string& kind) {
  return probe(kind, load(kind));
}

Probed Registry::probe(const std::string& kind, const Loaded& loaded) {
  Probed probed = {.kind = kind, .availability = Availability::kNotBuilt, .words = "", .devices = {}};
  if (loaded.backend == nullptr) {
    probed.availability = loaded.is_absent ? Availability::kNotBuilt : Availability::kBroken;
    probed.words = cat(library_name(kind), loaded.is_absent ? " is not in " : " in ", folder_,
                       loaded.is_absent ? "" : " cannot be used: ", loaded.is_absent ? "" : loaded.refusal);
    return probed;
  }
  try {
    ask(*loaded.backend, &probed);
  } catch (const Error& error) {
    probed = {.kind = kind, .availability = Availability::kProbeFailed, .words = error.what(), .devices = {}};
  } catch (...) {
    probed = {.kind = kind,
              .availability = Availability::kProbeFailed,
              .words = "the back end threw an exception",
              .devices = {}};
  }
  return probed;
}

std::shared_ptr<Device> Registry::open(const std::string& kind, int32_t index) {
  const Loaded loaded = load(kind);
  const Probed probed = probe(kind, loaded);
  if (probed.availability != Availability::kUsable) {
    throw DeviceFailure(Failure::kNotSupported,
                        cat("[", kind, "] ", availability_name(probed.availability), ": ", probed.words));
  }
  const auto count = static_cast<int32_t>(probed.devices.size());
  if (index < 0 || index >= count) {
    throw DeviceFailure(Failure::kNotSupported, cat("[", kind, "] no device ", index, "; there are ", count,
                                                    ", from ", kind, ":0 on"));
  }
  return Device::open(*loaded.backend, index, cat(kind, ":", index));
}

}  // namespace arrowmind::device

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "device/device.h"
#include "device/shared_object.h"

namespace arrowmind::device {

// Kinds of devices, in the order in which `auto` prefers them.
constexpr std::array<const char*, 5> kKinds = {"cuda", "rocm", "vulkan", "mps", "cpu"};

enum class Availability : uint8_t {
  kUsable,
  kNotBuilt,  // there is no back end beside the core
  kBroken,    // there is one that cannot be used
  kNoDriver,  // the library of the driver is not there
  kNoDevice,  // the driver knows of none
  kDriverTooOld,
  kProbeFailed,
};

const char* availability_name(Availability availability);

struct Probed {
  std::string kind;
  Availability availability = Availability::kNotBuilt;
  std::string words;  // why not, as back end or driver say; empty when usable
  std::vector<DeviceInfo> devices;
};

// The back ends of a folder. `cpu` is built in. Safe from several threads.
class Registry {
 public:
  explicit Registry(std::string folder);

  const std::string& folder() const { return folder_; }
  // What is there now. Never throws for what a back end does. Throws Error(kInvalidArgument) for an unknown
  // kind.
  Probed probe(const std::string& kind);
  // Throws DeviceFailure(kNotSupported) when the kind cannot be used or has no device of this index.
  std::shared_ptr<Device> open(const std::string& kind, int32_t index);

 private:
  Loaded load(const std::string& kind);
  Probed probe(const std::string& kind, const Loaded& loaded);

  std::string folder_;
  std::mutex mutex_;
  std::unordered_map<std::string, const ArrowmindBackend*> loaded_;
};

}  // namespace arrowmind::device

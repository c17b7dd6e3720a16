#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace arrowmind::device {

// What went wrong on a device, in the order of ArrowmindStatus.
enum class Failure : uint8_t { kNone, kOutOfMemory, kLaunchFailed, kLost, kNotSupported, kFailed };

const char* failure_name(Failure failure);

// A failure of a device. The message names the device, what was asked of it and what its driver said.
class DeviceFailure : public Error {
 public:
  DeviceFailure(Failure failure, const std::string& message)
      : Error(ErrorKind::kDevice, message), failure_(failure) {}
  Failure failure() const { return failure_; }

 private:
  Failure failure_;
};

}  // namespace arrowmind::device

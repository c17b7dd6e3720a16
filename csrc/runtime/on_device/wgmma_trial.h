#pragma once

#include <memory>
#include <string>

#include "device/device.h"

namespace arrowmind::runtime {

// Whether a device multiplies by `kernel`, linear_bf16_<weights>_wgmma, as it does by
// linear_bf16_<weights>_wide: a small product by both, whose sums are exact in any order, compared to the
// bit. Empty: it does; else what was found, in words. Done once in a process for each device and kernel; a
// device that is lost meanwhile is not asked again, also when it was opened anew. Safe from several threads.
//
// Throws DeviceFailure: kOutOfMemory and kLost, and kNotSupported where the device has no such kernel.
std::string try_wgmma(const std::shared_ptr<device::Device>& device, const std::string& kernel);

}  // namespace arrowmind::runtime

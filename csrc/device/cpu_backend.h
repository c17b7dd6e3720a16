#pragma once

#include "device/backend.h"

namespace arrowmind::device {

// The device that is always there: memory of the host, a thread for each stream. Opened after a fork(), as
// threads do not come along.
const ArrowmindBackend& cpu_backend();

}  // namespace arrowmind::device

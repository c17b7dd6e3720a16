#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/execution.h"

namespace arrowmind::runtime {

class Lowering;

// One step of a plan. Operators name the buffers they read and write, so that the plan can let buffers whose
// lives do not overlap share memory.
class Op {
 public:
  virtual ~Op() = default;
  virtual void run(const Execution& execution) const = 0;
  // Kernels this op would run now, for `arrowmind doctor` and reports.
  virtual std::vector<std::string> kernels() const = 0;

  // Says what it is on a device (runtime/on_device/lowering.h); false: it runs on the CPU alone.
  virtual bool lower(Lowering& /*lowering*/) const { return false; }

  std::vector<int> reads;
  std::vector<int> writes;
};

// Keeps weights alive that an op points to: the owner of a mapping, or of an array.
using Keepalive = std::shared_ptr<const void>;

}  // namespace arrowmind::runtime

#pragma once

// What the back end asks of Metal. driver.mm answers with Metal itself; tests, with fibers for threads.
//
// Calls may come from several threads at once, those on one Batch from one. What cannot be had is thrown as a
// Refusal. A batch keeps what it uses until its work has ended.

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "device/backend.h"

namespace arrowmind::metal {

struct Refusal {
  int32_t status;  // ArrowmindStatus; of gpus(), ArrowmindProbe
  std::string words;
};

struct Buffer {
  virtual ~Buffer() = default;
  virtual char* contents() = 0;  // the host's address of it
};

struct Function {
  virtual ~Function() = default;
};

// A number that grows as work ends, to wait for in other batches.
struct Signal {
  virtual ~Signal() = default;
};

struct Dispatch {
  const Function* function;
  std::vector<std::pair<std::shared_ptr<Buffer>, int64_t>> places;  // offsets in bytes
  const void* parameters;                                           // the buffer behind the places
  uint32_t parameter_bytes;
  uint32_t grid[3], threads;
};

// A command buffer: work that begins when it is committed, after the batches committed before it.
struct Batch {
  virtual ~Batch() = default;
  virtual void dispatch(const Dispatch& dispatch) = 0;
  // Offsets and bytes are multiples of 4.
  virtual void copy(const std::shared_ptr<Buffer>& to, int64_t to_offset, const std::shared_ptr<Buffer>& from,
                    int64_t from_offset, int64_t bytes) = 0;
  virtual void wait(const std::shared_ptr<Signal>& signal, uint64_t value) = 0;
  // Once its work has ended or has failed: nobody waits for ever.
  virtual void raise(const std::shared_ptr<Signal>& signal, uint64_t value) = 0;
  virtual void commit() = 0;

  // Of one that was committed.
  virtual bool is_done() = 0;
  virtual void finish() = 0;              // waits; refuses when its work failed
  virtual int64_t end_nanoseconds() = 0;  // of the device's clock, of one that is done
};

struct Queue {
  virtual ~Queue() = default;
  virtual std::shared_ptr<Batch> begin() = 0;
};

struct Gpu {
  virtual ~Gpu() = default;
  virtual void describe(ArrowmindDeviceInfo* info) = 0;
  virtual int64_t free_bytes() = 0;
  virtual std::shared_ptr<Buffer> allocate(int64_t bytes) = 0;
  virtual std::unique_ptr<Function> make(const char* name, const char* text) = 0;  // of arrowmind_<name>
  virtual std::unique_ptr<Queue> make_queue() = 0;
  virtual std::shared_ptr<Signal> make_signal() = 0;
};

// Those of this machine; at least one.
std::vector<std::shared_ptr<Gpu>> gpus();

}  // namespace arrowmind::metal

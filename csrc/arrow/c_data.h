#pragma once

#include <cstdint>
#include <memory>

#include "arrow/file.h"

// The Arrow C Data interface: the ABI by which libraries exchange arrays inside a process; and the C Device
// interface, the same for memory of devices.
extern "C" {

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_NULLABLE 2

struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};

#endif

#ifndef ARROW_C_DEVICE_DATA_INTERFACE
#define ARROW_C_DEVICE_DATA_INTERFACE

typedef int32_t ArrowDeviceType;  // numbered as DLPack does
#define ARROW_DEVICE_CPU 1

struct ArrowDeviceArray {
  struct ArrowArray array;  // its buffers are addresses of the device
  int64_t device_id;        // -1 for the CPU
  ArrowDeviceType device_type;
  void* sync_event;  // null: what is there is there already
  int64_t reserved[3];
};

#endif
}

namespace arrowmind::arrow {

// Fills `out` with the schema as a struct type; the caller releases it.
void export_schema(const Schema& schema, ArrowSchema* out);

// Fills `out` with the batch as a struct array whose buffers lie in the mapping, which it keeps alive until
// it is released. Every offset of the batch is checked first: O(rows), and Error(kIntegrity) when one is
// unsound.
void export_batch(const Batch& batch, ArrowArray* out);

// The same for rows of so many float32 as fixed-size lists; `owner` is held until the array is released, by
// any thread. Nothing at `data` is touched.
void export_rows_schema(int64_t columns, ArrowSchema* out);
void export_rows(std::shared_ptr<const void> owner, const void* data, int64_t rows, int64_t columns,
                 ArrowArray* out);

}  // namespace arrowmind::arrow

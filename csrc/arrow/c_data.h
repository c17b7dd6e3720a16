#pragma once

#include <cstdint>

#include "arrow/file.h"

// The Arrow C Data interface: the ABI by which libraries exchange arrays inside a process.
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
}

namespace arrowmind::arrow {

// Fills `out` with the schema as a struct type; the caller releases it.
void export_schema(const Schema& schema, ArrowSchema* out);

// Fills `out` with the batch as a struct array whose buffers lie in the mapping, which it keeps alive until
// it is released. Every offset of the batch is checked first: O(rows), and Error(kIntegrity) when one is
// unsound.
void export_batch(const Batch& batch, ArrowArray* out);

}  // namespace arrowmind::arrow

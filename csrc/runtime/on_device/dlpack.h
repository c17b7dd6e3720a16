#pragma once

#include <memory>

#include "runtime/on_device/shared_rows.h"

// DLPack, the ABI by which array libraries of a process lend each other tensors on any device: version 1.0,
// and the form without a version that came before it.
extern "C" {

struct DLDevice {
  int32_t device_type;
  int32_t device_id;
};

struct DLDataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements
  uint64_t byte_offset;
};

struct DLManagedTensor {
  DLTensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(struct DLManagedTensor*);
};

struct DLPackVersion {
  uint32_t major;
  uint32_t minor;
};

struct DLManagedTensorVersioned {
  DLPackVersion version;
  void* manager_ctx;
  void (*deleter)(struct DLManagedTensorVersioned*);
  uint64_t flags;
  DLTensor dl_tensor;
};
}

namespace arrowmind::runtime {

constexpr uint64_t kDlpackIsCopied = 2;

// A tensor that holds the rows until its deleter is called, from any thread, with or without Python's lock.
// Throws Error(kInvalidArgument) where they have no address.
DLManagedTensor* lend(const std::shared_ptr<const SharedRows>& rows);
DLManagedTensorVersioned* lend_versioned(const std::shared_ptr<const SharedRows>& rows, bool is_copied);

}  // namespace arrowmind::runtime

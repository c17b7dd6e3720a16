#pragma once

// The C interface between the core and the back end of a kind of device. A back end is a shared object of its
// own, `arrowmind_device_<kind>.so` beside the native module, so that neither needs what the other was linked
// with: only these plain structures pass between them.
//
// A back end exports one function, `arrowmind_device_backend`, of type ArrowmindBackendEntry. What it gives
// back stays valid as long as the process lives; a back end is never unloaded.
//
// Rules for back ends:
// - Every function may be called from several threads at once. Nothing may be thrown.
// - A call that fails gives nothing out, and writes what the driver said into `words`.
// - Release functions (close, release, destroy_*, unregister_host) cannot fail: they are called for lost
// devices, too, and
//   free what the process holds. release(), destroy_stream() and destroy_graph() first wait for submitted
//   work that may use what goes away.
// - Work of a stream runs in the order of its calls, and beside that of other streams. Its failure is told by
// the next
//   call that can fail.
// - After ARROWMIND_LOST every call on the same device that can fail answers ARROWMIND_LOST.
// - Handles are never 0.

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Grows when something here changes its meaning. What is only added at the end of a structure makes that
// structure larger: each begins with its size, and who reads it looks at no more than that.
#define ARROWMIND_DEVICE_ABI 1u
#define ARROWMIND_BACKEND_ENTRY "arrowmind_device_backend"

enum ArrowmindStatus {
  ARROWMIND_OK = 0,
  ARROWMIND_OUT_OF_MEMORY = 1,
  ARROWMIND_LAUNCH_FAILED = 2,
  ARROWMIND_LOST = 3,           // nothing that was on the device can be had any more
  ARROWMIND_NOT_SUPPORTED = 4,  // by this device or driver; also for a kernel that it does not have
  ARROWMIND_FAILED = 5,         // anything else; `words` tell
};

enum ArrowmindProbe {
  ARROWMIND_USABLE = 0,
  ARROWMIND_NO_DRIVER = 1,  // the library of the driver is not there
  ARROWMIND_NO_DEVICE = 2,  // the driver knows of none
  ARROWMIND_DRIVER_TOO_OLD = 3,
  ARROWMIND_PROBE_FAILED = 4,
};

typedef struct ArrowmindWords {
  char text[248];  // ends with NUL
} ArrowmindWords;

typedef struct ArrowmindDeviceInfo {
  uint32_t size;
  uint32_t flags;         // ArrowmindDeviceFlags
  char name[128];         // of the product
  char driver[64];        // its version
  char architecture[32];  // such as sm_90 or gfx90a
  int64_t total_bytes;
  int64_t alignment_bytes;   // offsets in memory that kernels are given are multiples of it
  int64_t most_place_bytes;  // from a place that a kernel is given to the end of its memory; 0: no bound
} ArrowmindDeviceInfo;

enum ArrowmindDeviceFlags {
  ARROWMIND_SHARES_HOST_MEMORY = 1,  // no copy is needed: integrated devices, and the CPU
  ARROWMIND_IS_SOFTWARE = 2,  // a driver that computes on the CPU, for tests: taken only when it is named
};

typedef struct ArrowmindDevice ArrowmindDevice;
typedef struct ArrowmindStream ArrowmindStream;
typedef struct ArrowmindEvent ArrowmindEvent;
typedef struct ArrowmindGraph ArrowmindGraph;

// A place in memory of a device. `memory` is what allocate() gave: an address where the device has such
// (CUDA, HIP), else the handle of a buffer (Vulkan, Metal); so nobody but the back end may add to it.
typedef struct ArrowmindPlace {
  uint64_t memory;
  int64_t offset;  // bytes
} ArrowmindPlace;

// A kernel takes places in memory and one block of parameters: arguments in this order with the block last by
// value (CUDA, HIP), bindings 0, 1, ... and push constants (Vulkan), buffers 0, 1, ... and bytes (Metal).
typedef struct ArrowmindLaunch {
  uint32_t size;
  uint32_t grid[3];   // groups
  uint32_t group[3];  // threads of a group
  uint32_t shared_bytes;
  uint64_t kernel;
  const ArrowmindPlace* places;
  uint32_t place_count;
  uint32_t parameter_bytes;
  const void* parameters;  // read before the call returns
} ArrowmindLaunch;

// How a kernel wants to be launched: the threads of a group, and how many items of work a group serves in
// each direction.
typedef struct ArrowmindKernelInfo {
  uint32_t size;
  uint32_t group[3];
  uint32_t tile[3];
  uint32_t shared_bytes;
} ArrowmindKernelInfo;

typedef struct ArrowmindBackend {
  uint32_t abi;   // ARROWMIND_DEVICE_ABI
  uint32_t size;  // of this structure

  // How many devices there are. Anything but ARROWMIND_USABLE: none can be used, for this reason.
  int32_t (*probe)(int32_t* count, ArrowmindWords* words);
  int32_t (*describe)(int32_t index, ArrowmindDeviceInfo* info, ArrowmindWords* words);
  int32_t (*open)(int32_t index, ArrowmindDevice** device, ArrowmindWords* words);
  void (*close)(ArrowmindDevice* device);  // everything of it was released before

  int32_t (*memory_info)(ArrowmindDevice* device, int64_t* free_bytes, int64_t* total_bytes,
                         ArrowmindWords* words);
  int32_t (*allocate)(ArrowmindDevice* device, int64_t bytes, uint64_t* memory, ArrowmindWords* words);
  void (*release)(ArrowmindDevice* device, uint64_t memory);

  int32_t (*create_stream)(ArrowmindDevice* device, ArrowmindStream** stream, ArrowmindWords* words);
  void (*destroy_stream)(ArrowmindStream* stream);
  int32_t (*synchronise)(ArrowmindStream* stream, ArrowmindWords* words);

  // Host memory stays as it is until the stream has come so far.
  int32_t (*copy_in)(ArrowmindStream* stream, ArrowmindPlace to, const void* from, int64_t bytes,
                     ArrowmindWords* words);
  int32_t (*copy_out)(ArrowmindStream* stream, void* to, ArrowmindPlace from, int64_t bytes,
                      ArrowmindWords* words);
  int32_t (*copy_within)(ArrowmindStream* stream, ArrowmindPlace to, ArrowmindPlace from, int64_t bytes,
                         ArrowmindWords* words);

  int32_t (*create_event)(ArrowmindDevice* device, ArrowmindEvent** event, ArrowmindWords* words);
  void (*destroy_event)(ArrowmindEvent* event);
  int32_t (*record)(ArrowmindEvent* event, ArrowmindStream* stream, ArrowmindWords* words);
  // The stream goes on once the event's last record() was reached; at once where it was never recorded.
  int32_t (*wait)(ArrowmindStream* stream, ArrowmindEvent* event, ArrowmindWords* words);
  int32_t (*query)(ArrowmindEvent* event, int32_t* reached, ArrowmindWords* words);
  // Device time between two events that were reached.
  int32_t (*elapsed)(ArrowmindEvent* from, ArrowmindEvent* to, int64_t* nanoseconds, ArrowmindWords* words);

  int32_t (*find_kernel)(ArrowmindDevice* device, const char* name, uint64_t* kernel, ArrowmindWords* words);
  int32_t (*launch)(ArrowmindStream* stream, const ArrowmindLaunch* launch, ArrowmindWords* words);

  // Optional; null, or beyond the size of the table, where the device has no use for it. Host memory that
  // copies reach without passing through the CPU.
  int32_t (*allocate_pinned)(ArrowmindDevice* device, int64_t bytes, void** address, ArrowmindWords* words);
  void (*release_pinned)(ArrowmindDevice* device, void* address);
  int32_t (*register_host)(ArrowmindDevice* device, const void* address, int64_t bytes,
                           ArrowmindWords* words);
  void (*unregister_host)(ArrowmindDevice* device, const void* address);

  // Optional; without it no model runs there (device/kernels.h).
  int32_t (*describe_kernel)(ArrowmindDevice* device, uint64_t kernel, ArrowmindKernelInfo* info,
                             ArrowmindWords* words);

  // Optional: for work between that of others who use the device by the same driver. A stream of theirs, as
  // the driver has it (CUstream, hipStream_t; 0: its default one): destroy_stream() leaves it and its work
  // to them. And memory of theirs, by its address; it is not released.
  int32_t (*adopt_stream)(ArrowmindDevice* device, uint64_t handle, ArrowmindStream** stream,
                          ArrowmindWords* words);
  int32_t (*adopt_memory)(ArrowmindDevice* device, uint64_t address, int64_t bytes, uint64_t* memory,
                          ArrowmindWords* words);

  // Optional: launches that are made ready once and then run as one, in order, again and again. What they say
  // is read before make_graph() returns, places and parameters included; whoever runs a graph sees to it that
  // its memory is there, and that it is not under way twice at once. Graphs belong to no stream.
  int32_t (*make_graph)(ArrowmindDevice* device, const ArrowmindLaunch* launches, uint32_t count,
                        ArrowmindGraph** graph, ArrowmindWords* words);
  void (*destroy_graph)(ArrowmindGraph* graph);
  int32_t (*run_graph)(ArrowmindStream* stream, ArrowmindGraph* graph, ArrowmindWords* words);
} ArrowmindBackend;

// Given the version that the core speaks; a back end that speaks another may answer null.
typedef const ArrowmindBackend* (*ArrowmindBackendEntry)(uint32_t abi);

#ifdef __cplusplus
}
#endif

// driver.h by Metal itself. Not part of builds but on a Mac; its syntax is checked everywhere
// (tests/device/test_metal.py).

#import <Foundation/Foundation.h>
#import <Metal/Metal.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "device/metal/driver.h"

namespace arrowmind::metal {
namespace {

constexpr int64_t kAlignment = 256;
// Of command buffers that are under way at once.
constexpr NSUInteger kMostBatches = 256;

std::string words_of(NSError* error) {
  const char* text = error.localizedDescription.UTF8String;
  return text != nullptr ? text : "Metal does not say why";
}

int32_t status_of(NSError* error) {
  if (![error.domain isEqualToString:MTLCommandBufferErrorDomain]) return ARROWMIND_FAILED;
  switch (error.code) {
    case MTLCommandBufferErrorOutOfMemory:
      return ARROWMIND_OUT_OF_MEMORY;
    case MTLCommandBufferErrorDeviceRemoved:
    case MTLCommandBufferErrorAccessRevoked:
      return ARROWMIND_LOST;
    default:
      return ARROWMIND_LAUNCH_FAILED;
  }
}

struct MetalBuffer : Buffer {
  explicit MetalBuffer(id<MTLBuffer> own) : buffer(own) {}
  char* contents() override { return static_cast<char*>(buffer.contents); }

  id<MTLBuffer> buffer;
};

id<MTLBuffer> of(const std::shared_ptr<Buffer>& buffer) {
  return static_cast<MetalBuffer*>(buffer.get())->buffer;
}

struct MetalFunction : Function {
  explicit MetalFunction(id<MTLComputePipelineState> own) : pipeline(own) {}

  id<MTLComputePipelineState> pipeline;
};

struct MetalSignal : Signal {
  explicit MetalSignal(id<MTLSharedEvent> own) : event(own) {}

  id<MTLSharedEvent> event;
};

id<MTLSharedEvent> of(const std::shared_ptr<Signal>& signal) {
  return static_cast<MetalSignal*>(signal.get())->event;
}

// A command buffer keeps the buffers that it uses until it is done.
class MetalBatch : public Batch {
 public:
  explicit MetalBatch(id<MTLCommandBuffer> own) : commands_(own) {}
  ~MetalBatch() override { end_encoder(); }

  void dispatch(const Dispatch& dispatch) override {
    @autoreleasepool {
      const auto* function = static_cast<const MetalFunction*>(dispatch.function);
      if (dispatch.threads > function->pipeline.maxTotalThreadsPerThreadgroup) {
        throw Refusal{ARROWMIND_LAUNCH_FAILED, "the device has no groups as large as the kernel's"};
      }
      if (encoder_ == nil) encoder_ = [commands_ computeCommandEncoder];
      if (encoder_ == nil) throw Refusal{ARROWMIND_LAUNCH_FAILED, "no encoder of work could be had"};
      [encoder_ setComputePipelineState:function->pipeline];
      NSUInteger index = 0;
      for (const auto& [buffer, offset] : dispatch.places) {
        [encoder_ setBuffer:of(buffer) offset:static_cast<NSUInteger>(offset) atIndex:index++];
      }
      [encoder_ setBytes:dispatch.parameters length:dispatch.parameter_bytes atIndex:index];
      [encoder_ dispatchThreadgroups:MTLSizeMake(dispatch.grid[0], dispatch.grid[1], dispatch.grid[2])
               threadsPerThreadgroup:MTLSizeMake(dispatch.threads, 1, 1)];
    }
  }

  void copy(const std::shared_ptr<Buffer>& to, int64_t to_offset, const std::shared_ptr<Buffer>& from,
            int64_t from_offset, int64_t bytes) override {
    @autoreleasepool {
      end_encoder();
      id<MTLBlitCommandEncoder> encoder = [commands_ blitCommandEncoder];
      if (encoder == nil) throw Refusal{ARROWMIND_LAUNCH_FAILED, "no encoder of copies could be had"};
      [encoder copyFromBuffer:of(from)
                 sourceOffset:static_cast<NSUInteger>(from_offset)
                     toBuffer:of(to)
            destinationOffset:static_cast<NSUInteger>(to_offset)
                         size:static_cast<NSUInteger>(bytes)];
      [encoder endEncoding];
    }
  }

  void wait(const std::shared_ptr<Signal>& signal, uint64_t value) override {
    end_encoder();
    [commands_ encodeWaitForEvent:of(signal) value:value];
  }

  void raise(const std::shared_ptr<Signal>& signal, uint64_t value) override {
    end_encoder();
    id<MTLSharedEvent> event = of(signal);
    [commands_ encodeSignalEvent:event value:value];
    [commands_ addCompletedHandler:^(id<MTLCommandBuffer> done) {
      if (done.error != nil && event.signaledValue < value) event.signaledValue = value;
    }];
  }

  void commit() override {
    end_encoder();
    [commands_ commit];
  }

  bool is_done() override {
    const MTLCommandBufferStatus status = commands_.status;
    return status == MTLCommandBufferStatusCompleted || status == MTLCommandBufferStatusError;
  }

  void finish() override {
    @autoreleasepool {
      [commands_ waitUntilCompleted];
      NSError* error = commands_.error;
      if (error != nil) throw Refusal{status_of(error), words_of(error)};
      if (commands_.status == MTLCommandBufferStatusError) {
        throw Refusal{ARROWMIND_LAUNCH_FAILED, "Metal does not say why"};
      }
    }
  }

  int64_t end_nanoseconds() override { return static_cast<int64_t>(commands_.GPUEndTime * 1e9); }

 private:
  void end_encoder() {
    if (encoder_ == nil) return;
    [encoder_ endEncoding];
    encoder_ = nil;
  }

  id<MTLCommandBuffer> commands_;
  id<MTLComputeCommandEncoder> encoder_ = nil;  // what follows goes into it
};

struct MetalQueue : Queue {
  explicit MetalQueue(id<MTLCommandQueue> own) : queue(own) {}

  std::shared_ptr<Batch> begin() override {
    @autoreleasepool {
      id<MTLCommandBuffer> commands = [queue commandBuffer];
      if (commands == nil) throw Refusal{ARROWMIND_OUT_OF_MEMORY, "no command buffer could be had"};
      return std::make_shared<MetalBatch>(commands);
    }
  }

  id<MTLCommandQueue> queue;
};

// Products and sums as they are written, NaN kept.
MTLCompileOptions* compile_options() {
  MTLCompileOptions* options = [[MTLCompileOptions alloc] init];
  options.languageVersion = MTLLanguageVersion2_4;
#if defined(__MAC_15_0)
  if (@available(macOS 15.0, *)) {
    options.mathMode = MTLMathModeSafe;
    return options;
  }
#endif
  options.fastMathEnabled = NO;
  return options;
}

struct MetalGpu : Gpu {
  explicit MetalGpu(id<MTLDevice> own) : device(own) {}

  void describe(ArrowmindDeviceInfo* info) override {
    @autoreleasepool {
      std::snprintf(info->name, sizeof info->name, "%s", device.name.UTF8String);
      std::snprintf(info->driver, sizeof info->driver, "macOS %s",
                    NSProcessInfo.processInfo.operatingSystemVersionString.UTF8String);
      int generation = 0;
      while ([device supportsFamily:static_cast<MTLGPUFamily>(MTLGPUFamilyApple1 + generation)]) ++generation;
      std::snprintf(info->architecture, sizeof info->architecture, generation > 0 ? "apple%d" : "mac2",
                    generation);
      info->flags = device.hasUnifiedMemory ? ARROWMIND_SHARES_HOST_MEMORY : 0;
      info->total_bytes = static_cast<int64_t>(device.recommendedMaxWorkingSetSize);
      info->alignment_bytes = kAlignment;
      if (info->size >= sizeof *info) info->most_place_bytes = static_cast<int64_t>(device.maxBufferLength);
    }
  }

  int64_t free_bytes() override {
    const auto total = static_cast<int64_t>(device.recommendedMaxWorkingSetSize);
    return std::max<int64_t>(total - static_cast<int64_t>(device.currentAllocatedSize), 0);
  }

  std::shared_ptr<Buffer> allocate(int64_t bytes) override {
    @autoreleasepool {
      if (static_cast<uint64_t>(bytes) > device.maxBufferLength) {
        throw Refusal{ARROWMIND_OUT_OF_MEMORY, "more than one buffer of the device may have"};
      }
      if (bytes > free_bytes()) throw Refusal{ARROWMIND_OUT_OF_MEMORY, "no room for it"};
      id<MTLBuffer> buffer = [device newBufferWithLength:static_cast<NSUInteger>(bytes)
                                                 options:MTLResourceStorageModeShared];
      if (buffer == nil) throw Refusal{ARROWMIND_OUT_OF_MEMORY, "no buffer could be had"};
      return std::make_shared<MetalBuffer>(buffer);
    }
  }

  std::unique_ptr<Function> make(const char* name, const char* text) override {
    @autoreleasepool {
      NSError* error = nil;
      id<MTLLibrary> library = [device newLibraryWithSource:@(text) options:compile_options() error:&error];
      if (library == nil) throw Refusal{ARROWMIND_NOT_SUPPORTED, words_of(error)};
      NSString* symbol = [NSString stringWithFormat:@"arrowmind_%s", name];
      id<MTLFunction> function = [library newFunctionWithName:symbol];
      if (function == nil) throw Refusal{ARROWMIND_FAILED, "the text has no function of this name"};
      id<MTLComputePipelineState> pipeline = [device newComputePipelineStateWithFunction:function
                                                                                   error:&error];
      if (pipeline == nil) throw Refusal{ARROWMIND_NOT_SUPPORTED, words_of(error)};
      return std::make_unique<MetalFunction>(pipeline);
    }
  }

  std::unique_ptr<Queue> make_queue() override {
    @autoreleasepool {
      id<MTLCommandQueue> queue = [device newCommandQueueWithMaxCommandBufferCount:kMostBatches];
      if (queue == nil) throw Refusal{ARROWMIND_OUT_OF_MEMORY, "no queue could be had"};
      return std::make_unique<MetalQueue>(queue);
    }
  }

  std::shared_ptr<Signal> make_signal() override {
    @autoreleasepool {
      id<MTLSharedEvent> event = [device newSharedEvent];
      if (event == nil) throw Refusal{ARROWMIND_OUT_OF_MEMORY, "no event could be had"};
      return std::make_shared<MetalSignal>(event);
    }
  }

  id<MTLDevice> device;
};

}  // namespace

std::vector<std::shared_ptr<Gpu>> gpus() {
  @autoreleasepool {
    std::vector<std::shared_ptr<Gpu>> found;
    for (id<MTLDevice> device in MTLCopyAllDevices()) {
      if ([device supportsFamily:MTLGPUFamilyMac2]) found.push_back(std::make_shared<MetalGpu>(device));
    }
    if (found.empty()) throw Refusal{ARROWMIND_NO_DEVICE, "Metal knows of none of the family Mac2"};
    return found;
  }
}

}  // namespace arrowmind::metal

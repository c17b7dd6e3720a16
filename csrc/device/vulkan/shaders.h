#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace arrowmind::vulkan {

constexpr uint32_t kMostPlaces = 16;

// A kernel as it was compiled: a row of shaders.inc.
struct Shader {
  const char* name;
  const uint32_t* code;  // SPIR-V
  size_t code_bytes;
  uint32_t places, parameter_bytes;
  uint32_t threads;  // of a group
  uint32_t tile[3];  // items of work of a group
};

std::span<const Shader> shaders();

}  // namespace arrowmind::vulkan

#pragma once

#include <cstdint>
#include <cstdio>
#include <new>
#include <string>
#include <utility>

#include "device/backend.h"
#include "device/vulkan/functions.h"

namespace arrowmind::vulkan {

// What a call cannot do; made into status and words where the C interface ends.
struct Refusal {
  int32_t status;  // ArrowmindStatus
  std::string words;
};

[[noreturn]] inline void refuse(int32_t status, std::string words) {
  throw Refusal{status, std::move(words)};
}

const char* name_of(VkResult result);
int32_t status_of(VkResult result);

// Throws Refusal unless `result` is a success; `what` is the function that gave it.
inline void check(VkResult result, const char* what) {
  if (result >= 0) return;
  refuse(status_of(result), std::string(what) + " gave " + name_of(result));
}

inline void say(ArrowmindWords* words, const char* text) {
  std::snprintf(words->text, sizeof words->text, "%s", text);
}

// The status of body(), which may throw.
template <typename Body>
int32_t answer(ArrowmindWords* words, const Body& body) noexcept {
  try {
    body();
    return ARROWMIND_OK;
  } catch (const Refusal& refusal) {
    say(words, refusal.words.c_str());
    return refusal.status;
  } catch (const std::bad_alloc&) {
    say(words, "the host has no memory left");
    return ARROWMIND_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    say(words, error.what());
    return ARROWMIND_FAILED;
  }
}

}  // namespace arrowmind::vulkan

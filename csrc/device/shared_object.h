#pragma once

#include <string>

#include "device/backend.h"

namespace arrowmind::device {

// A back end from its shared object, checked before anything of it is used; or why not.
struct Loaded {
  const ArrowmindBackend* backend = nullptr;  // null: `refusal` says why
  bool is_absent = false;                     // there is no such file
  std::string refusal;
};

// Loads the shared object at `path`. What it was linked with must be there in whole: a missing symbol is a
// refusal, not a crash later on. Never unloaded.
Loaded load_backend(const std::string& path);

// Folder of the shared object that this code is part of.
std::string own_folder();

}  // namespace arrowmind::device

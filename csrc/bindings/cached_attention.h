#pragma once

#include <string>

#include "kernels/cached_attention/cached_attention.h"

namespace arrowmind::bindings {

// The format called `name`. Throws Error(kInvalidArgument).
cached_attention::Format cache_format(const std::string& name);

}  // namespace arrowmind::bindings

#pragma once

#include <cstdint>

namespace arrowmind::qmatmul {

// At least `bytes` of working memory of the calling thread, 64-byte aligned, kept until the thread ends. Its
// contents do not survive the next call. Throws std::bad_alloc.
void* thread_scratch(int64_t bytes);

}  // namespace arrowmind::qmatmul

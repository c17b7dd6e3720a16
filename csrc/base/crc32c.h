#pragma once

#include <cstdint>

namespace arrowmind {

// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78, as in iSCSI and RFC 3720) of `size` bytes.
// `crc` is the checksum of what came before, 0 at the start: crc32c(b, nb, crc32c(a, na)) covers a then b.
// Uses the CPU's instruction where ARROWMIND_MAX_ISA allows AVX2, a table elsewhere; the result is the same.
uint32_t crc32c(const void* data, int64_t size, uint32_t crc = 0);

}  // namespace arrowmind

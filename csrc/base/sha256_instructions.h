#pragma once

#include <cstdint>

namespace arrowmind {

// Blocks of 64 bytes by the processor's SHA-256 instructions, which sha256_instructions_enabled() says are
// there: of one message, or of two side by side. Word j of message i is state[j * messages + i].
//
// An instruction waits for the one before it of the same message, for twice the time that the unit is busy
// with it (4 and 2 cycles on Zen): two messages take little longer than one.
void sha256_instructions(uint32_t* state, const uint8_t* const* data, int64_t blocks);
void sha256_instructions_pair(uint32_t* state, const uint8_t* const* data, int64_t blocks);

}  // namespace arrowmind

#pragma once

// The image of a source that the driver loads, as it came from the compiler.
#define IMAGE_OF(name, file)               \
  __asm__(                                 \
      ".pushsection .rodata\n"             \
      ".balign 4096\n"                     \
      ".hidden arrowmind_gpu_image_" #name \
      "\n"                                 \
      ".globl arrowmind_gpu_image_" #name  \
      "\n"                                 \
      "arrowmind_gpu_image_" #name         \
      ":\n"                                \
      ".incbin \"" file                    \
      "\"\n"                               \
      ".popsection\n");

#version 450

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters { uint count, value; } p;
layout(binding = 0) writeonly buffer Out { uint out_words[]; };

void main() {
  const uint i = gl_GlobalInvocationID.x;
  if (i < p.count) out_words[i] = p.value;
}

#version 450

layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters { uint count; } p;
layout(binding = 0) readonly buffer A { float a[]; };
layout(binding = 1) readonly buffer B { float b[]; };
layout(binding = 2) writeonly buffer Out { float out_values[]; };

void main() {
  const uint i = gl_GlobalInvocationID.x;
  if (i < p.count) out_values[i] = a[i] + b[i];
}

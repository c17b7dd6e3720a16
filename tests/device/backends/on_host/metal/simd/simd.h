// In place of Metal's own, for kernels as C++: language.h has it all.

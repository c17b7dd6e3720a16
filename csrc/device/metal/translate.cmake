# One kernel of Vulkan as text for Metal: cmake -DTRANSLATOR=... -DCODE=x.spv -DNAME=x -DPLACES=n -DOUTPUT=x -P translate.cmake writes
#   x.metal  what Metal compiles
#   x.inc    the same as a literal of C++
#   x.host   the same for fibers (tests/device/backends/on_host/metal)
execute_process(
  COMMAND ${TRANSLATOR} --msl --msl-version 20400 --msl-decoration-binding --msl-force-native-arrays
          --rename-entry-point main arrowmind_${NAME} comp ${CODE}
  OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)

# The block of parameters is the buffer behind the places.
string(REPLACE "constant Parameters& p [[buffer(0)]]" "constant Parameters& p [[buffer(${PLACES})]]" text "${text}")
string(REGEX MATCH "\nkernel void arrowmind_${NAME}\\([^\n]*" head "${text}")
if(NOT head MATCHES "Parameters& p \\[\\[buffer\\(${PLACES}\\)\\]\\]")
  message(FATAL_ERROR "the translation of ${NAME} has no block of parameters where it is looked for: ${head}")
endif()
# Products and sums are rounded one by one, as the shaders were proven.
string(PREPEND text "#pragma METAL fp contract(off)\n")
file(WRITE ${OUTPUT}.metal "${text}")
file(WRITE ${OUTPUT}.inc "R\"metal(${text})metal\"\n")

# Fibers share what is declared `threadgroup` in the kernel, and are told where each argument comes from.
string(REGEX REPLACE "\n    threadgroup ([a-z0-9]+) ([A-Za-z0-9_]+)\\[([0-9]+)\\];" "\n    GROUP_MEMORY(\\1, \\2, \\3);" host "${text}")
string(REGEX MATCHALL "\\[\\[[a-z_]+(\\([0-9]+\\))?\\]\\]" sources "${head}")
list(TRANSFORM sources REPLACE "\\[|\\]" "")
list(TRANSFORM sources PREPEND "FROM_")
list(JOIN sources ", " arguments)
file(WRITE ${OUTPUT}.host "namespace of_${NAME} {\n${host}
static void run(const Arguments& given) { arrowmind_${NAME}(${arguments}); }
static const Kernel registered(\"${NAME}\", ${PLACES}, run);\n}\n")

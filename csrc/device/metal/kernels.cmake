# arrowmind_translate_kernels(folder files): the shaders of Vulkan as texts for Metal in `folder`, one file of each kind for each
# row of csrc/device/vulkan/kernels.inc, and sources.inc, which has them all. `files` is set to what is made.
find_program(ARROWMIND_GLSLANG NAMES glslangValidator glslang)
find_program(ARROWMIND_SPIRV_CROSS NAMES spirv-cross)

function(arrowmind_translate_kernels folder files)
  set(root ${PROJECT_SOURCE_DIR}/csrc)
  set(script ${root}/device/metal/translate.cmake)
  file(MAKE_DIRECTORY ${folder})
  file(GLOB includes CONFIGURE_DEPENDS ${root}/device/vulkan/*.glsl ${root}/kernels/*/*.glsl)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${root}/device/vulkan/kernels.inc)
  file(STRINGS ${root}/device/vulkan/kernels.inc rows REGEX "^SHADER\\(")
  set(made)
  set(sources "")
  set(hosts "")
  foreach(row IN LISTS rows)
    if(NOT row MATCHES "^SHADER\\(([a-z0-9_]+), ([a-z0-9_/.]+), \"([^\"]*)\", ([0-9]+), [A-Za-z]+, ([0-9]+), ([0-9]+), ([0-9]+), ([0-9]+)\\)$")
      message(FATAL_ERROR "kernels.inc has a row that is none: ${row}")
    endif()
    set(name ${CMAKE_MATCH_1})
    set(source ${root}/${CMAKE_MATCH_2})
    set(places ${CMAKE_MATCH_4})
    separate_arguments(definitions UNIX_COMMAND "${CMAKE_MATCH_3}")
    set(shape -DTHREADS=${CMAKE_MATCH_5} -DTILE_X=${CMAKE_MATCH_6} -DTILE_Y=${CMAKE_MATCH_7} -DTILE_Z=${CMAKE_MATCH_8})
    set(output ${folder}/${name})
    add_custom_command(
      OUTPUT ${output}.metal ${output}.inc ${output}.host
      COMMAND ${ARROWMIND_GLSLANG} -V --target-env vulkan1.1 --quiet -I${root} ${shape} ${definitions} -o ${output}.spv ${source}
      COMMAND ${CMAKE_COMMAND} -DTRANSLATOR=${ARROWMIND_SPIRV_CROSS} -DCODE=${output}.spv -DNAME=${name} -DPLACES=${places} -DOUTPUT=${output} -P ${script}
      DEPENDS ${source} ${includes} ${script}
      VERBATIM)
    list(APPEND made ${output}.metal ${output}.inc ${output}.host)
    string(APPEND sources "constexpr char text_of_${name}[] =\n#include \"${name}.inc\"\n;\n")
    string(APPEND hosts "#include \"${name}.host\"\n")
  endforeach()
  file(CONFIGURE OUTPUT ${folder}/hosts.inc CONTENT "${hosts}" @ONLY)
  file(CONFIGURE OUTPUT ${folder}/sources.inc CONTENT "${sources}" @ONLY)
  set(${files} ${made} PARENT_SCOPE)
endfunction()

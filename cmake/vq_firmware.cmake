# vq_add_firmware(TARGET MODEL_DIR BOARD APP_SOURCE)
#
# Adds the firmware image TARGET of the generated model in MODEL_DIR for BOARD, the name of a preset
# in boards/. APP_SOURCE is the model's vq_app.c. Images have no time stamps and no paths in them:
# the same sources give the same bytes, wherever they are built. A project has one model.

set(VQ_OPTIMIZE -O2 CACHE STRING "Optimization flags of firmware images")

function(vq_add_firmware TARGET MODEL_DIR BOARD APP_SOURCE)
    set(here ${CMAKE_CURRENT_FUNCTION_LIST_DIR})
    cmake_path(SET runtime NORMALIZE ${here}/../runtime)
    include(${here}/boards/${BOARD}.cmake)

    set(flags
        ${VQ_BOARD_CFLAGS}
        ${VQ_OPTIMIZE}
        -ffunction-sections
        -fdata-sections
        -ffile-prefix-map=${MODEL_DIR}=model
        -ffile-prefix-map=${runtime}=runtime
        -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)

    # The linker script knows the model's part by the name of this library.
    add_subdirectory(${MODEL_DIR} model)
    target_compile_options(vq_model PRIVATE ${flags})

    set(sources bench.c console.c fault.c main.c semihost.c startup_cortexm.c)
    list(TRANSFORM sources PREPEND ${runtime}/firmware/)
    set(script ${runtime}/firmware/cortexm.ld)

    add_executable(${TARGET} ${sources} ${APP_SOURCE})
    set_target_properties(${TARGET} PROPERTIES C_STANDARD 11 LINK_DEPENDS ${script})
    target_include_directories(${TARGET} PRIVATE ${runtime}/include)
    target_compile_options(${TARGET} PRIVATE ${flags} -Wall -Wextra)
    target_link_libraries(${TARGET} PRIVATE vq_model)
    list(TRANSFORM VQ_BOARD_MEMORY PREPEND -Wl,--defsym=)
    target_link_options(
        ${TARGET}
        PRIVATE
        ${VQ_BOARD_CFLAGS}
        -nostartfiles
        -Wl,--gc-sections
        -Wl,-Map=${TARGET}.map
        # the script's MEMORY needs these before the script itself
        ${VQ_BOARD_MEMORY}
        -T
        ${script})
endfunction()

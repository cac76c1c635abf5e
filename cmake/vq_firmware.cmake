# vq_add_firmware(TARGET MODEL_DIR BOARD APP_SOURCE)
#
# Adds the firmware image TARGET of the generated model in MODEL_DIR for BOARD, the name of a folder
# in runtime/boards. APP_SOURCE is the model's vq_app.c. Images have no time stamps and no paths in
# them: the same sources give the same bytes, wherever they are built. A project has one model.

set(VQ_OPTIMIZE -O2 CACHE STRING "Optimization flags of firmware images")
set(VQ_HARNESS semihosting CACHE STRING
    "What drives the model: semihosting (an emulator or debugger) or rpc (the link)")
set(VQ_BAUD 115200 CACHE STRING "Speed of the link's UART, in bits per second")
option(VQ_PROFILE "Counts the cycles of each layer (rpc)" OFF)

function(vq_add_firmware TARGET MODEL_DIR BOARD APP_SOURCE)
    cmake_path(SET runtime NORMALIZE ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../runtime)
    set(VQ_BOARD_PAYLOAD 1024)
    # several flags, in the words of a shell or as a list
    list(JOIN VQ_OPTIMIZE " " optimize)
    separate_arguments(optimize NATIVE_COMMAND "${optimize}")
    include(${runtime}/boards/${BOARD}/board.cmake)

    set(flags
        ${VQ_BOARD_CFLAGS}
        ${optimize}
        -ffunction-sections
        -fdata-sections
        -ffile-prefix-map=${MODEL_DIR}=model
        -ffile-prefix-map=${runtime}=runtime
        -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)

    # The linker script knows the model's part by the name of this library.
    add_subdirectory(${MODEL_DIR} model)
    target_compile_options(vq_model PRIVATE ${flags})

    # What has no memories of its own is no bare core.
    if(VQ_BOARD_MEMORY)
        set(core_sources firmware/stack_guard.c firmware/startup_cortexm.c)
        set(link_core_sources rpc/cycles.c rpc/restart.c)
    endif()
    if(VQ_HARNESS STREQUAL rpc)
        set(sources rpc/frames.c rpc/layers.c rpc/main.c rpc/server.c ${link_core_sources}
                    ${VQ_BOARD_SOURCES})
        set(definitions VQ_RPC VQ_RPC_PAYLOAD=${VQ_BOARD_PAYLOAD} VQ_BAUD=${VQ_BAUD}
                        ${VQ_BOARD_DEFINITIONS})
        if(VQ_PROFILE)
            target_compile_definitions(vq_model PRIVATE VQ_PROFILE)
        endif()
    else()
        set(sources firmware/console.c firmware/fault.c firmware/main.c firmware/semihost.c)
        set(definitions "")
    endif()
    list(APPEND sources firmware/bench.c ${core_sources})
    list(TRANSFORM sources PREPEND ${runtime}/)

    add_executable(${TARGET} ${sources} ${APP_SOURCE})
    set_target_properties(${TARGET} PROPERTIES C_STANDARD 11)
    target_include_directories(${TARGET} PRIVATE ${runtime}/include)
    target_compile_definitions(${TARGET} PRIVATE ${definitions})
    target_compile_options(${TARGET} PRIVATE ${flags} -Wall -Wextra)
    target_link_libraries(${TARGET} PRIVATE vq_model)
    if(VQ_BOARD_MEMORY)
        vq_link_bare_core(${TARGET} ${runtime}/firmware/cortexm.ld)
    endif()
endfunction()

# In the scope of a board's preset.
function(vq_link_bare_core TARGET SCRIPT)
    list(TRANSFORM VQ_BOARD_MEMORY PREPEND -Wl,--defsym=)
    set_target_properties(${TARGET} PROPERTIES LINK_DEPENDS ${SCRIPT})
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
        ${SCRIPT})
endfunction()

#include "vq/semihost.h"

#include <string.h>

/* Operation numbers of Arm's "Semihosting for AArch32 and AArch64". */
enum operation {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_GET_CMDLINE = 0x15,
    SYS_EXIT_EXTENDED = 0x20,
};

#define ADP_STOPPED_APPLICATION_EXIT 0x20026u

/* Operation in r0, address of its parameter block in r1, result in r0. */
static int32_t call(enum operation operation, const uint32_t *parameters) {
    register int32_t r0 __asm__("r0") = (int32_t)operation;
    register const uint32_t *r1 __asm__("r1") = parameters;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

int32_t vq_semihost_open(const char *path, enum vq_semihost_mode mode) {
    const uint32_t parameters[] = {(uint32_t)path, (uint32_t)mode, (uint32_t)strlen(path)};
    return call(SYS_OPEN, parameters);
}

uint32_t vq_semihost_read(int32_t handle, void *data, uint32_t bytes) {
    uint32_t done = 0;
    while (done < bytes) {
        const uint32_t wanted = bytes - done;
        const uint32_t parameters[] = {(uint32_t)handle, (uint32_t)data + done, wanted};
        /* the result is what is still missing: all of it at the end of the file */
        const uint32_t missing = (uint32_t)call(SYS_READ, parameters);
        if (missing >= wanted) {
            break;
        }
        done += wanted - missing;
    }
    return done;
}

int32_t vq_semihost_write(int32_t handle, const void *data, uint32_t bytes) {
    const uint32_t parameters[] = {(uint32_t)handle, (uint32_t)data, bytes};
    return call(SYS_WRITE, parameters);
}

int32_t vq_semihost_close(int32_t handle) {
    const uint32_t parameters[] = {(uint32_t)handle};
    return call(SYS_CLOSE, parameters);
}

int32_t vq_semihost_command_line(char *line, uint32_t bytes) {
    const uint32_t parameters[] = {(uint32_t)line, bytes};
    return call(SYS_GET_CMDLINE, parameters);
}

void vq_semihost_exit(int32_t status) {
    const uint32_t parameters[] = {ADP_STOPPED_APPLICATION_EXIT, (uint32_t)status};
    for (;;) {
        call(SYS_EXIT_EXTENDED, parameters);
    }
}

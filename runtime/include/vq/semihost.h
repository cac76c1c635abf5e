/* Arm semihosting: files, command line and exit, by way of the emulator or debugger. */
#ifndef VQ_SEMIHOST_H
#define VQ_SEMIHOST_H

#include <stdint.h>

/* Modes of C's fopen, as semihosting numbers them. */
enum vq_semihost_mode {
    VQ_SEMIHOST_READ_BINARY = 1,
    VQ_SEMIHOST_WRITE = 4,
    VQ_SEMIHOST_WRITE_BINARY = 5,
    VQ_SEMIHOST_APPEND = 8,
};

/* Opened with VQ_SEMIHOST_WRITE this name is standard output, with VQ_SEMIHOST_APPEND the standard
 * error stream. */
#define VQ_SEMIHOST_CONSOLE ":tt"

/* A handle, or -1. */
int32_t vq_semihost_open(const char *path, enum vq_semihost_mode mode);

/* Reads until `bytes` are there or the file ends; returns how many were read. */
uint32_t vq_semihost_read(int32_t handle, void *data, uint32_t bytes);

/* 0 if all bytes were written. */
int32_t vq_semihost_write(int32_t handle, const void *data, uint32_t bytes);

/* 0 if all is well. */
int32_t vq_semihost_close(int32_t handle);

/* The command line with a terminating zero; -1 where there is none or `bytes` are too few. */
int32_t vq_semihost_command_line(char *line, uint32_t bytes);

/* Ends the program; an emulator ends with this exit status. */
_Noreturn void vq_semihost_exit(int32_t status);

#endif

/* The firmware of any model, for emulators and debuggers with semihosting.
 *
 * Started by itself: one inference on the embedded sample; each output as a line "output I HEX".
 * With the command line "run INPUT_FILE OUTPUT_FILE": one inference for each sample of the input
 * file, outputs to the output file, then the lines "inferences N" and "stack_peak BYTES".
 * Samples, and the outputs of each, are the bytes of all tensors in order, without gaps. Of a model
 * with two paths, the path follows the outputs: a line "path N", in the file one byte; and a word
 * behind OUTPUT_FILE names a file of all thresholds, int32. */
#include <string.h>

#include "console.h"
#include "vq/app.h"
#include "vq/bench.h"
#include "vq/semihost.h"
#include "vq/stack.h"

/* Exit statuses; vq_fault() ends with 99. */
enum { STATUS_OK = 0, STATUS_FILE = 2, STATUS_RUN = 3, STATUS_STACK = 4 };

static char command_line[256];

static _Noreturn void fail(int32_t status, const char *what, const char *name) {
    const int32_t error = vq_console_error();
    vq_put_text(error, what);
    vq_put_text(error, name);
    vq_put_text(error, "\n");
    vq_semihost_exit(status);
}

static void infer(const struct vq_app *app) {
    vq_bench_begin();
    const int32_t status = app->run();
    vq_bench_end();
    if (status != 0) {
        const int32_t error = vq_console_error();
        vq_put_text(error, "run returned ");
        vq_put_decimal(error, status);
        vq_put_text(error, "\n");
        vq_semihost_exit(STATUS_RUN);
    }
}

static void check_stack(void) {
    if (vq_stack_peak() >= vq_stack_size()) {
        fail(STATUS_STACK, "stack overflow", "");
    }
}

/* 1 if a sample was read, 0 at the end of the file. */
static int read_sample(const struct vq_app *app, int32_t file, const char *path) {
    for (uint32_t i = 0; i < app->input_count; ++i) {
        const struct vq_tensor *input = &app->inputs[i];
        const uint32_t bytes = vq_semihost_read(file, input->data, input->bytes);
        if (bytes != input->bytes) {
            if (i == 0 && bytes == 0) {
                return 0;
            }
            fail(STATUS_FILE, "file ends inside a sample: ", path);
        }
    }
    return 1;
}

static void write_bytes(int32_t file, const void *data, uint32_t bytes, const char *path) {
    if (vq_semihost_write(file, data, bytes) != 0) {
        fail(STATUS_FILE, "cannot write ", path);
    }
}

static void write_outputs(const struct vq_app *app, int32_t file, const char *path) {
    for (uint32_t i = 0; i < app->output_count; ++i) {
        write_bytes(file, app->outputs[i].data, app->outputs[i].bytes, path);
    }
    if (app->path != NULL) {
        const uint8_t taken = (uint8_t)app->path();
        write_bytes(file, &taken, sizeof taken, path);
    }
}

static int32_t open_to_read(const char *path) {
    const int32_t file = vq_semihost_open(path, VQ_SEMIHOST_READ_BINARY);
    if (file < 0) {
        fail(STATUS_FILE, "cannot read ", path);
    }
    return file;
}

static void set_thresholds(const struct vq_app *app, const char *path) {
    const int32_t file = open_to_read(path);
    for (uint32_t i = 0; i < app->threshold_count; ++i) {
        int32_t threshold;
        if (vq_semihost_read(file, &threshold, sizeof threshold) != sizeof threshold) {
            fail(STATUS_FILE, "too few thresholds: ", path);
        }
        app->set_threshold(i, threshold);
    }
    vq_semihost_close(file);
}

static void run_files(const struct vq_app *app, const char *input_path, const char *output_path) {
    const int32_t input = open_to_read(input_path);
    const int32_t output = vq_semihost_open(output_path, VQ_SEMIHOST_WRITE_BINARY);
    if (output < 0) {
        fail(STATUS_FILE, "cannot write ", output_path);
    }
    int32_t inferences = 0;
    while (read_sample(app, input, input_path)) {
        infer(app);
        write_outputs(app, output, output_path);
        ++inferences;
    }
    const uint32_t stack_peak = vq_stack_peak();
    check_stack();
    vq_semihost_close(input);
    vq_semihost_close(output);
    const int32_t out = vq_console_out();
    vq_put_text(out, "inferences ");
    vq_put_decimal(out, inferences);
    vq_put_text(out, "\nstack_peak ");
    vq_put_decimal(out, (int32_t)stack_peak);
    vq_put_text(out, "\n");
}

static void run_sample(const struct vq_app *app) {
    const uint8_t *sample = app->sample;
    for (uint32_t i = 0; i < app->input_count; ++i) {
        memcpy(app->inputs[i].data, sample, app->inputs[i].bytes);
        sample += app->inputs[i].bytes;
    }
    infer(app);
    check_stack();
    const int32_t out = vq_console_out();
    for (uint32_t i = 0; i < app->output_count; ++i) {
        vq_put_text(out, "output ");
        vq_put_decimal(out, (int32_t)i);
        vq_put_text(out, " ");
        vq_put_bytes(out, app->outputs[i].data, app->outputs[i].bytes);
        vq_put_text(out, "\n");
    }
    if (app->path != NULL) {
        vq_put_text(out, "path ");
        vq_put_decimal(out, app->path());
        vq_put_text(out, "\n");
    }
}

/* Cuts the first word off `text`, in place; returns what follows it, "" at the end. */
static char *cut_word(char *text) {
    char *end = text;
    while (*end != '\0' && *end != ' ') {
        ++end;
    }
    if (*end == ' ') {
        *end++ = '\0';
    }
    return end;
}

int main(void) {
    const struct vq_app *app = vq_app_open();
    if (vq_semihost_command_line(command_line, sizeof command_line) != 0) {
        command_line[0] = '\0';
    }
    char *input_path = cut_word(command_line);
    char *output_path = cut_word(input_path);
    char *thresholds_path = cut_word(output_path);
    if (strcmp(command_line, "run") == 0 && *output_path != '\0') {
        if (*thresholds_path != '\0') {
            set_thresholds(app, thresholds_path);
        }
        run_files(app, input_path, output_path);
    } else {
        /* an emulator without arguments passes the firmware's own path */
        run_sample(app);
    }
    vq_semihost_exit(STATUS_OK);
}

/* The device's side of the link: one request at a time, answered in place (docs/protocol.md). */
#ifndef VQ_RPC_SERVER_H
#define VQ_RPC_SERVER_H

#include "cycles.h"
#include "frames.h"
#include "restart.h"
#include "vq/app.h"

/* What a run is answered with. */
struct vq_run_answer {
    int32_t status, path;
    uint64_t cycles;
};

struct vq_server {
    const struct vq_app *app;
    uint32_t clock_hz;
    enum vq_cycles_source cycles_source;
    struct vq_fault fault; /* that the device restarted from */
    struct vq_frame frame;
    /* --- of a session --- */
    uint8_t has_session;
    uint8_t has_run;    /* `run_sequence` and `run_answer` are those of the last run, ... */
    uint8_t has_result; /* ... and it went well */
    uint16_t session;
    uint16_t run_sequence;
    struct vq_run_answer run_answer;
    /* --- since the start --- */
    uint32_t frames_taken, frames_dropped, repeats;
};

/* Takes the next byte from the host, and does and answers what it completes. `app` to `fault` have
 * been set, all else starts out as zeros. */
void vq_server_take(struct vq_server *server, uint8_t byte);

#endif

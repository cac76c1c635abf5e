#include "server.h"

#include <string.h>

#include "layers.h"
#include "payload.h"
#include "vq/bench.h"
#include "vq/board.h"
#include "vq/stack.h"

enum { PROTOCOL_VERSION = 1 };

enum kind { HELLO = 1, LOAD, RUN, READ, LAYERS, COUNTERS, THRESHOLD, RESET };

/* What is added to the kind of a request in its answer. */
enum { ANSWER = 128 };

enum status {
    DONE,
    UNKNOWN_REQUEST,
    MALFORMED,
    NO_SESSION,
    OUT_OF_RANGE,
    OTHER_VERSION,
    NO_RESULT,
};

/* Byte numbers in a frame. */
enum { KIND = 0, STATUS = 1, SESSION = 2, SEQUENCE = 4, PAYLOAD = VQ_FRAME_HEADER_BYTES };

/* --- requests -------------------------------------------------------------------------------- */
/* Each has the payload of its request, as long as `requests` says, and puts that of its answer. */

static enum status hello(struct vq_server *server, const uint8_t *payload, uint32_t length) {
    (void)length;
    const struct vq_app *app = server->app;
    struct vq_frame *frame = &server->frame;
    const uint16_t session = vq_get_u16(&frame->bytes[SESSION]);
    if (vq_get_u16(payload) != PROTOCOL_VERSION) {
        vq_put_u16(frame, PROTOCOL_VERSION);
        return OTHER_VERSION;
    }
    if (!server->has_session || session != server->session) {
        server->has_session = 1;
        server->has_run = 0;
        server->has_result = 0;
        server->session = session;
    }
    vq_put_u16(frame, PROTOCOL_VERSION);
    vq_put_u16(frame, VQ_RPC_PAYLOAD);
    vq_put_u32(frame, server->clock_hz);
    vq_put_u16(frame, server->cycles_source);
    vq_put_u16(frame, app->layer_count);
    vq_put_u16(frame, app->threshold_count);
    vq_put_u16(frame, app->input_count | app->output_count << 8);
    vq_put_u32(frame, server->fault.status);
    vq_put_u32(frame, server->fault.address);
    vq_put(frame, app->fingerprint, VQ_FINGERPRINT_BYTES);
    vq_put_sizes(frame, app->inputs, app->input_count);
    vq_put_sizes(frame, app->outputs, app->output_count);
    vq_put_text(frame, vq_board_name);
    vq_put_text(frame, app->name);
    return DONE;
}

static int is_inside(uint32_t offset, uint32_t bytes, uint32_t size) {
    return offset <= size && bytes <= size - offset;
}

/* payload: input u16, 0 u16, offset u32, bytes */
static enum status load(struct vq_server *server, const uint8_t *payload, uint32_t length) {
    const struct vq_app *app = server->app;
    const uint16_t input = vq_get_u16(payload);
    const uint32_t offset = vq_get_u32(payload + 4);
    const uint32_t bytes = length - 8;
    if (input >= app->input_count || !is_inside(offset, bytes, app->inputs[input].bytes)) {
        return OUT_OF_RANGE;
    }
    uint8_t *staged = app->staged;
    for (uint32_t i = 0; i < input; ++i) {
        staged += app->inputs[i].bytes;
    }
    memcpy(staged + offset, payload + 8, bytes);
    return DONE;
}

static int32_t infer(struct vq_server *server) {
    const struct vq_app *app = server->app;
    const uint8_t *staged = app->staged;
    for (uint32_t i = 0; i < app->input_count; ++i) {
        memcpy(app->inputs[i].data, staged, app->inputs[i].bytes);
        staged += app->inputs[i].bytes;
    }
    const uint32_t start = vq_cycles();
    vq_layers_begin(app);
    vq_bench_begin();
    const int32_t status = app->run();
    vq_bench_end();
    server->run_answer.cycles += vq_cycles() - start;
    if (vq_stack_peak() >= vq_stack_size()) {
        vq_restart((struct vq_fault){VQ_FAULT_STACK_OVERFLOW, 0});
    }
    return status;
}

/* payload: inferences u32 */
static enum status run(struct vq_server *server, const uint8_t *payload, uint32_t length) {
    (void)length;
    struct vq_frame *frame = &server->frame;
    struct vq_run_answer *answer = &server->run_answer;
    const uint16_t sequence = vq_get_u16(&frame->bytes[SEQUENCE]);
    const uint32_t inferences = vq_get_u32(payload);
    if (server->has_run && server->run_sequence == sequence) {
        ++server->repeats;
    } else {
        if (inferences == 0) {
            return OUT_OF_RANGE;
        }
        *answer = (struct vq_run_answer){0, 0, 0};
        for (uint32_t i = 0; i < inferences && answer->status == 0; ++i) {
            answer->status = infer(server);
        }
        if (server->app->path != NULL) {
            answer->path = server->app->path();
        }
        server->has_run = 1;
        server->has_result = answer->status == 0;
        server->run_sequence = sequence;
    }
    vq_put(frame, answer, sizeof *answer);
    return DONE;
}

/* payload: output u16, bytes u16, offset u32 */
static enum status read(struct vq_server *server, const uint8_t *payload, uint32_t length) {
    (void)length;
    const struct vq_app *app = server->app;
    const uint16_t output = vq_get_u16(payload);
    const uint16_t bytes = vq_get_u16(payload + 2);
    const uint32_t offset = vq_get_u32(payload + 4);
    if (output >= app->output_count || bytes > VQ_RPC_PAYLOAD ||
        !is_inside(offset, bytes, app->outputs[output].bytes)) {
        return OUT_OF_RANGE;
    }
    if (!server->has_result) {
        return NO_RESULT;
    }
    vq_put(&server->frame, (const uint8_t *)app->outputs[output].data + offset, bytes);
    return DONE;
}

/* payload: first u16 */
static enum status layers(struct vq_server *server, const uint8_t *payload, uint32_t length) {
    (void)length;
    const struct vq_app *app = server->app;
    const uint16_t first = vq_get_u16(payload);
    if (first > app->layer_count) {
        return OUT_OF_RANGE;
    }
    if (!server->has_result) {
        return NO_RESULT;
    }
    uint32_t count = app->layer_count - first;
    if (count > VQ_RPC_PAYLOAD / sizeof(uint32_t)) {
        count = VQ_RPC_PAYLOAD / sizeof(uint32_t);
    }
    vq_put(&server->frame, &app->layer_cycles[first], count * (uint32_t)sizeof(uint32_t));
    return DONE;
}

static enum status counters(struct vq_server *server, const uint8_t *payload, uint32_t length) {
    (void)payload;
    (void)length;
    const uint32_t counts[] = {
        server->frames_taken,       server->frames_dropped, server->repeats,
        vq_board_receiver_errors(), vq_stack_peak(),        vq_stack_size(),
    };
    vq_put(&server->frame, counts, sizeof counts);
    return DONE;
}

/* payload: index u16, set u16, value i32 */
static enum status threshold(struct vq_server *server, const uint8_t *payload, uint32_t length) {
    (void)length;
    const struct vq_app *app = server->app;
    const uint16_t index = vq_get_u16(payload);
    const uint16_t set = vq_get_u16(payload + 2);
    if (index >= app->threshold_count || set > 1) {
        return OUT_OF_RANGE;
    }
    if (set) {
        app->set_threshold(index, (int32_t)vq_get_u32(payload + 4));
    }
    int32_t value = 0;
    app->get_threshold(index, &value);
    vq_put(&server->frame, &value, sizeof value);
    return DONE;
}

/* The restart follows the answer. */
static enum status reset(struct vq_server *server, const uint8_t *payload, uint32_t length) {
    (void)server;
    (void)payload;
    (void)length;
    return DONE;
}

/* --- what they have in common ---------------------------------------------------------------- */

static const struct request {
    enum status (*answer)(struct vq_server *server, const uint8_t *payload, uint32_t length);
    uint16_t least_bytes, most_bytes; /* of the payload */
} requests[] = {
    [HELLO] = {hello, 2, VQ_RPC_PAYLOAD},
    [LOAD] = {load, 8, VQ_RPC_PAYLOAD},
    [RUN] = {run, 4, 4},
    [READ] = {read, 8, 8},
    [LAYERS] = {layers, 2, 2},
    [COUNTERS] = {counters, 0, 0},
    [THRESHOLD] = {threshold, 8, 8},
    [RESET] = {reset, 0, 0},
};

static enum status handle(struct vq_server *server) {
    struct vq_frame *frame = &server->frame;
    const uint8_t kind = frame->bytes[KIND];
    const uint32_t length = frame->length - PAYLOAD;
    /* answers are put where the payload is, which the handlers have read by then */
    frame->length = PAYLOAD;
    if (kind != HELLO &&
        !(server->has_session && vq_get_u16(&frame->bytes[SESSION]) == server->session)) {
        return NO_SESSION;
    }
    /* long ago, its number may come to be another run's */
    const uint16_t sequence = vq_get_u16(&frame->bytes[SEQUENCE]);
    if ((uint16_t)(sequence - server->run_sequence) > UINT16_MAX / 2) {
        server->has_run = 0;
    }
    if (kind == 0 || kind > RESET) {
        return UNKNOWN_REQUEST;
    }
    const struct request *request = &requests[kind];
    if (frame->bytes[STATUS] != 0 || length < request->least_bytes ||
        length > request->most_bytes) {
        return MALFORMED;
    }
    return request->answer(server, &frame->bytes[PAYLOAD], length);
}

void vq_server_take(struct vq_server *server, uint8_t byte) {
    struct vq_frame *frame = &server->frame;
    const enum vq_frame_state state = vq_frame_take(frame, byte);
    if (state == VQ_FRAME_UNFINISHED) {
        return;
    }
    const uint8_t kind = frame->bytes[KIND];
    if (state == VQ_FRAME_DAMAGED || kind >= ANSWER) {
        ++server->frames_dropped;
        return;
    }
    ++server->frames_taken;
    const enum status status = handle(server);
    frame->bytes[KIND] = (uint8_t)(kind + ANSWER);
    frame->bytes[STATUS] = (uint8_t)status;
    vq_frame_send(frame);
    if (kind == RESET && status == DONE) {
        /* A UART has taken a byte long before it is out: when it takes the second of these empty
         * frames, which mean nothing, the answer has left it. */
        vq_board_put(0);
        vq_board_put(0);
        vq_restart((struct vq_fault){VQ_FAULT_NONE, 0});
    }
}

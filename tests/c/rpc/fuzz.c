/* libFuzzer on the device's side of the link: whatever arrives, nothing is read or written that is
 * not its own, and what it says is frames that answer.
 *
 * The first byte of an input says how the others arrive: 0, as they are; else as requests, each
 * with its length in front, that are stuffed and get a right CRC. Of these, every one is answered.
 */
#include <stdlib.h>
#include <string.h>

#include "../../../runtime/rpc/frames.h"
#include "../../../runtime/rpc/layers.h"
#include "device.h"

enum {
    INPUT_0_BYTES = 5,
    INPUT_1_BYTES = 300,
    OUTPUT_0_BYTES = 7,
    OUTPUT_1_BYTES = 1500, /* more than a payload, as are the layers */
    LAYERS = 100,
    THRESHOLDS = 3,
    MOST_INFERENCES = 50, /* of an input to the fuzzer, or a run of billions would stop it */
};

/* What input 0 begins with to make a run fail, or overflow the stack. */
enum { COMMAND_FAIL = 0xf0, COMMAND_OVERFLOW = 0xf1 };

static uint8_t input_0[INPUT_0_BYTES], input_1[INPUT_1_BYTES];
static uint8_t output_0[OUTPUT_0_BYTES], output_1[OUTPUT_1_BYTES];
static const struct vq_tensor inputs[] = {{input_0, INPUT_0_BYTES}, {input_1, INPUT_1_BYTES}};
static const struct vq_tensor outputs[] = {{output_0, OUTPUT_0_BYTES}, {output_1, OUTPUT_1_BYTES}};
static uint8_t staged[INPUT_0_BYTES + INPUT_1_BYTES];
static uint32_t layer_cycles[LAYERS];
static int32_t thresholds[THRESHOLDS];
static const uint8_t fingerprint[VQ_FINGERPRINT_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};
static uint32_t inferences_left;

static int32_t run(void) {
    if (inferences_left == 0) {
        return -1;
    }
    --inferences_left;
    const uint8_t command = input_0[0];
    device_overflows_stack = command == COMMAND_OVERFLOW;
    for (uint32_t i = 0; i < OUTPUT_1_BYTES; ++i) {
        output_1[i] = (uint8_t)(input_1[i % INPUT_1_BYTES] + i);
    }
    memcpy(output_0, input_0, INPUT_0_BYTES);
    memset(input_0, 0, sizeof input_0);
    memset(input_1, 0, sizeof input_1);
    vq_step_done(0);
    vq_step_done(LAYERS - 1);
    return command == COMMAND_FAIL ? 3 : 0;
}

static int32_t path(void) { return thresholds[0] > 0; }

static int32_t get_threshold(uint32_t index, int32_t *threshold) {
    *threshold = thresholds[index];
    return 0;
}

static int32_t set_threshold(uint32_t index, int32_t threshold) {
    thresholds[index] = threshold;
    return 0;
}

static const struct vq_app app = {
    .name = "fuzzed",
    .inputs = inputs,
    .input_count = 2,
    .outputs = outputs,
    .output_count = 2,
    .run = run,
    .path = path,
    .threshold_count = THRESHOLDS,
    .get_threshold = get_threshold,
    .set_threshold = set_threshold,
    .staged = staged,
    .layer_cycles = layer_cycles,
    .layer_count = LAYERS,
    .fingerprint = fingerprint,
};

/* --- a second reading of the frames ---------------------------------------------------------- */

static uint32_t crc32(const uint8_t *bytes, uint32_t length) {
    uint32_t crc = ~0u;
    for (uint32_t i = 0; i < 8 * length; ++i) {
        const uint32_t bit = (crc ^ bytes[i / 8] >> i % 8) & 1u;
        crc = crc >> 1 ^ (bit ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void require(int holds) {
    if (!holds) {
        abort();
    }
}

/* Takes the stuffing off what is before the first zero; returns the length, and moves `*from`
 * behind that zero. */
static uint32_t unstuff(const uint8_t **from, const uint8_t *end, uint8_t *to) {
    const uint8_t *next = *from;
    uint32_t length = 0;
    while (*next != 0) {
        const uint8_t head = *next++;
        for (uint32_t i = 1; i < head; ++i) {
            require(next < end && *next != 0);
            to[length++] = *next++;
        }
        require(next < end);
        if (head < 255 && *next != 0) {
            to[length++] = 0;
        }
    }
    *from = next + 1;
    return length;
}

/* Sends a request, without or with CRC and stuffing. */
static void send_request(const uint8_t *request, uint32_t length) {
    uint8_t whole[256 + VQ_FRAME_CRC_BYTES];
    uint8_t line[2 * sizeof whole];
    uint32_t stuffed = 0;
    const uint32_t crc = crc32(request, length);
    memcpy(whole, request, length);
    memcpy(whole + length, &crc, sizeof crc);
    length += VQ_FRAME_CRC_BYTES;
    for (uint32_t i = 0; i <= length; ++i) {
        uint32_t count = 0;
        while (i + count < length && whole[i + count] != 0 && count < 254) {
            ++count;
        }
        line[stuffed++] = (uint8_t)(count + 1);
        memcpy(line + stuffed, whole + i, count);
        stuffed += count;
        i += count;
        if (count == 254) {
            --i; /* no zero was skipped */
        }
    }
    line[stuffed++] = 0;
    device_take(line, stuffed);
}

/* All that the device said is frames of answers; returns how many. */
static uint32_t check_output(void) {
    static uint8_t frame[DEVICE_OUTPUT_BYTES];
    const uint8_t *next = device_output;
    const uint8_t *const end = device_output + device_output_length;
    uint32_t frames = 0;
    require(device_output_length == 0 || end[-1] == 0);
    while (next < end) {
        const uint32_t length = unstuff(&next, end, frame);
        if (length == 0) {
            continue;
        }
        uint32_t crc;
        require(length >= VQ_FRAME_HEADER_BYTES + VQ_FRAME_CRC_BYTES);
        require(length <= VQ_FRAME_HEADER_BYTES + VQ_RPC_PAYLOAD + VQ_FRAME_CRC_BYTES);
        memcpy(&crc, frame + length - sizeof crc, sizeof crc);
        require(crc == crc32(frame, length - VQ_FRAME_CRC_BYTES));
        require(frame[0] >= 128 && frame[1] <= 6);
        ++frames;
    }
    device_output_length = 0;
    return frames;
}

static void take_requests(const uint8_t *data, size_t size) {
    while (size > 0) {
        const uint32_t length = data[0] < size ? data[0] : (uint32_t)size - 1;
        const uint8_t *request = data + 1;
        const uint32_t restarts = device_restarts;
        send_request(request, length);
        /* a run that overflows the stack ends in a restart, not in an answer */
        const int restarted = device_restarts != restarts;
        const int is_request = length >= VQ_FRAME_HEADER_BYTES && request[0] < 128;
        const uint32_t answers = check_output();
        require(answers == (uint32_t)is_request || (restarted && answers == 0));
        data += length + 1;
        size -= length + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    inferences_left = MOST_INFERENCES;
    memset(staged, 0, sizeof staged);
    memset(thresholds, 0, sizeof thresholds);
    device_start(&app);
    if (data[0] != 0) {
        take_requests(data + 1, size - 1);
    } else {
        for (size_t i = 1; i < size; ++i) {
            device_take(data + i, 1);
            check_output();
        }
    }
    return 0;
}

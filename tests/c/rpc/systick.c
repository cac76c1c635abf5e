/* A Cortex-M0 counts its cycles over several rounds of SysTick: prints what counts, how many rounds
 * there were, and 1 if time never went backwards or leapt. */
#include "../../../runtime/firmware/console.h"
#include "../../../runtime/rpc/cycles.h"
#include "vq/semihost.h"

enum { ROUNDS = 5, ROUND_BITS = 24 };

int main(void) {
    const int32_t out = vq_console_out();
    const enum vq_cycles_source source = vq_cycles_open();
    uint32_t last = vq_cycles();
    int32_t is_steady = 1;
    while (last >> ROUND_BITS < ROUNDS) {
        const uint32_t now = vq_cycles();
        is_steady = is_steady && now - last > 0 && now - last < 1u << (ROUND_BITS - 4);
        last = now;
    }
    vq_put_text(out, "source ");
    vq_put_decimal(out, source);
    vq_put_text(out, " rounds ");
    vq_put_decimal(out, (int32_t)(last >> ROUND_BITS));
    vq_put_text(out, " steady ");
    vq_put_decimal(out, is_steady);
    vq_semihost_exit(0);
}

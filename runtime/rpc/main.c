/* The firmware of any model, driven over the link. */
#include "cycles.h"
#include "restart.h"
#include "server.h"
#include "vq/app.h"
#include "vq/board.h"

static struct vq_server server;

int main(void) {
    server.clock_hz = vq_board_open();
    server.cycles_source = vq_cycles_open();
    server.fault = vq_restart_fault();
    server.app = vq_app_open();
    for (;;) {
        const int32_t byte = vq_board_get();
        if (byte >= 0) {
            vq_server_take(&server, (uint8_t)byte);
        }
    }
}

/* Registers that somebody else answers for: a board's port on this computer. */
#include "registers.h"

uint32_t (*vq_fake_read)(uint32_t address);
void (*vq_fake_write)(uint32_t address, uint32_t value);

uint32_t vq_reg_read(uint32_t address) { return vq_fake_read(address); }

void vq_reg_write(uint32_t address, uint32_t value) { vq_fake_write(address, value); }

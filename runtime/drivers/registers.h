/* Registers of peripherals, by address, and waiting for them with an end.
 *
 * With VQ_FAKE_REGISTERS somebody else answers: so tests watch what a port does. */
#ifndef VQ_REGISTERS_H
#define VQ_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

/* How often a register is looked at before a wait is given up. A look takes 5 to 20 cycles: at 4 to
 * 64 MHz that is more than the 2 ms of a slow crystal, and less than a second. */
#define VQ_REG_LOOKS 100000u

#ifdef VQ_FAKE_REGISTERS
uint32_t vq_reg_read(uint32_t address);
void vq_reg_write(uint32_t address, uint32_t value);
#else
static inline uint32_t vq_reg_read(uint32_t address) {
    return *(const volatile uint32_t *)(uintptr_t)address;
}

static inline void vq_reg_write(uint32_t address, uint32_t value) {
    *(volatile uint32_t *)(uintptr_t)address = value;
}
#endif

/* The bits of `mask` become `bits`, the others stay. */
static inline void vq_reg_change(uint32_t address, uint32_t mask, uint32_t bits) {
    vq_reg_write(address, (vq_reg_read(address) & ~mask) | bits);
}

static inline void vq_reg_set(uint32_t address, uint32_t bits) {
    vq_reg_change(address, bits, bits);
}

/* Switches on a clock: what it feeds may be used after the register has been read once more. */
static inline void vq_reg_enable(uint32_t address, uint32_t bits) {
    vq_reg_set(address, bits);
    (void)vq_reg_read(address);
}

/* Whether the bits of `mask` are `bits` within VQ_REG_LOOKS. */
static inline bool vq_reg_wait(uint32_t address, uint32_t mask, uint32_t bits) {
    for (uint32_t look = 0; look < VQ_REG_LOOKS; ++look) {
        if ((vq_reg_read(address) & mask) == bits) {
            return true;
        }
    }
    return false;
}

#endif

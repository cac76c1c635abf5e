# BBC micro:bit, Nordic nRF51822 with a Cortex-M0.
set(VQ_BOARD_CFLAGS -mcpu=cortex-m0 -mthumb -mfloat-abi=soft)
set(VQ_BOARD_MEMORY
    VQ_FLASH_ORIGIN=0x00000000
    VQ_FLASH_BYTES=0x40000
    VQ_RAM_ORIGIN=0x20000000
    VQ_RAM_BYTES=0x4000
    VQ_STACK_BYTES=0x800)

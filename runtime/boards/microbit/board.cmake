# BBC micro:bit, Nordic nRF51822 with a Cortex-M0.
set(VQ_BOARD_CFLAGS -mcpu=cortex-m0 -mthumb -mfloat-abi=soft)
set(VQ_BOARD_MEMORY
    VQ_FLASH_ORIGIN=0x00000000
    VQ_FLASH_BYTES=0x40000
    VQ_RAM_ORIGIN=0x20000000
    VQ_RAM_BYTES=0x4000
    VQ_STACK_BYTES=0x800)
set(VQ_BOARD_SOURCES boards/microbit/board.c drivers/nrf51_uart.c)
# The link's largest payload in bytes; 1024 where a board does not say.
set(VQ_BOARD_PAYLOAD 256)
# The part has no SysTick. QEMU's has, whose pace is that of the computer's clock.
set(VQ_BOARD_DEFINITIONS VQ_BOARD_HAS_SYSTICK=0)

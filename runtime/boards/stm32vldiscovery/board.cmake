# STM32VLDISCOVERY, STM32F100RB with a Cortex-M3.
set(VQ_BOARD_CFLAGS -mcpu=cortex-m3 -mthumb -mfloat-abi=soft)
set(VQ_BOARD_MEMORY
    VQ_FLASH_ORIGIN=0x08000000
    VQ_FLASH_BYTES=0x20000
    VQ_RAM_ORIGIN=0x20000000
    VQ_RAM_BYTES=0x2000
    VQ_STACK_BYTES=0x800)
# The link's largest payload in bytes; 1024 where a board does not say.
set(VQ_BOARD_PAYLOAD 256)
set(VQ_BOARD_SOURCES boards/stm32vldiscovery/board.c drivers/stm32_usart_v1.c)

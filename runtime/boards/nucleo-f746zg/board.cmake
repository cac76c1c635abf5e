# NUCLEO-F746ZG, STM32F746ZG with a Cortex-M7. DTCM (64 KB), SRAM1 and SRAM2 are one block of 320 KB
# from 0x20000000.
set(VQ_BOARD_CFLAGS -mcpu=cortex-m7 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16)
set(VQ_BOARD_MEMORY
    VQ_FLASH_ORIGIN=0x08000000
    VQ_FLASH_BYTES=0x100000
    VQ_RAM_ORIGIN=0x20000000
    VQ_RAM_BYTES=0x50000
    VQ_STACK_BYTES=0x1000)
set(VQ_BOARD_SOURCES boards/nucleo-f746zg/board.c drivers/cortexm7_caches.c drivers/stm32_gpio.c
                     drivers/stm32_usart_v2.c drivers/stm32f4_clock.c)

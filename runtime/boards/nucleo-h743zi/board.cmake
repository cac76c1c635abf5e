# NUCLEO-H743ZI, STM32H743ZI with a Cortex-M7. The RAM is the AXI SRAM, the largest block; the others
# lie elsewhere.
set(VQ_BOARD_CFLAGS -mcpu=cortex-m7 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16)
set(VQ_BOARD_MEMORY
    VQ_FLASH_ORIGIN=0x08000000
    VQ_FLASH_BYTES=0x200000
    VQ_RAM_ORIGIN=0x24000000
    VQ_RAM_BYTES=0x80000
    VQ_STACK_BYTES=0x1000)
set(VQ_BOARD_SOURCES boards/nucleo-h743zi/board.c drivers/cortexm7_caches.c drivers/stm32_gpio.c
                     drivers/stm32_usart_v2.c drivers/stm32h7_clock.c)

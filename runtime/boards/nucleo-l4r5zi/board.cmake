# NUCLEO-L4R5ZI, STM32L4R5ZI with a Cortex-M4F. SRAM1, SRAM2 (its second address) and SRAM3 are one
# block of 640 KB from 0x20000000.
set(VQ_BOARD_CFLAGS -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16)
set(VQ_BOARD_MEMORY
    VQ_FLASH_ORIGIN=0x08000000
    VQ_FLASH_BYTES=0x200000
    VQ_RAM_ORIGIN=0x20000000
    VQ_RAM_BYTES=0xa0000
    VQ_STACK_BYTES=0x1000)
set(VQ_BOARD_SOURCES boards/nucleo-l4r5zi/board.c drivers/stm32_gpio.c drivers/stm32_usart_v2.c
                     drivers/stm32l4_clock.c)

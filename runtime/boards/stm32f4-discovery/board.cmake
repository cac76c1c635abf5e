# STM32F4-Discovery, STM32F407VG with a Cortex-M4F. Its other 64 KB, CCM, are not next to these.
set(VQ_BOARD_CFLAGS -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16)
set(VQ_BOARD_MEMORY
    VQ_FLASH_ORIGIN=0x08000000
    VQ_FLASH_BYTES=0x100000
    VQ_RAM_ORIGIN=0x20000000
    VQ_RAM_BYTES=0x20000
    VQ_STACK_BYTES=0x1000)
set(VQ_BOARD_SOURCES boards/stm32f4-discovery/board.c drivers/stm32_gpio.c
                     drivers/stm32_usart_v1.c drivers/stm32f4_clock.c)

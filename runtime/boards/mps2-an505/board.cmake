# Arm MPS2 FPGA board, Cortex-M33 image AN505.
set(VQ_BOARD_CFLAGS -mcpu=cortex-m33 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16)
set(VQ_BOARD_MEMORY
    VQ_FLASH_ORIGIN=0x10000000
    VQ_FLASH_BYTES=0x400000
    VQ_RAM_ORIGIN=0x38000000
    VQ_RAM_BYTES=0x400000
    VQ_STACK_BYTES=0x1000)
set(VQ_BOARD_SOURCES drivers/mps_board.c drivers/cmsdk_uart.c)
# The secure address.
set(VQ_BOARD_DEFINITIONS
    VQ_MPS_NAME="mps2-an505"
    VQ_MPS_UART0=0x50200000u
    VQ_MPS_CORE_HZ=20000000u
    VQ_MPS_PERIPHERALS_HZ=20000000u)

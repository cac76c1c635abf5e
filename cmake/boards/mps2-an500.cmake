# Arm MPS2 FPGA board, Cortex-M7 image AN500.
set(VQ_BOARD_CFLAGS -mcpu=cortex-m7 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16)
set(VQ_BOARD_MEMORY
    VQ_FLASH_ORIGIN=0x00000000
    VQ_FLASH_BYTES=0x400000
    VQ_RAM_ORIGIN=0x20000000
    VQ_RAM_BYTES=0x400000
    VQ_STACK_BYTES=0x1000)

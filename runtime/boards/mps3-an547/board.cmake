# Arm MPS3 FPGA board, Cortex-M55 image AN547 (Corstone-300).
set(VQ_BOARD_CFLAGS -mcpu=cortex-m55+nomve -mthumb -mfloat-abi=hard)
set(VQ_BOARD_MEMORY
    VQ_FLASH_ORIGIN=0x10000000
    VQ_FLASH_BYTES=0x80000
    VQ_RAM_ORIGIN=0x31000000
    VQ_RAM_BYTES=0x400000
    VQ_STACK_BYTES=0x1000)
set(VQ_BOARD_SOURCES drivers/mps_board.c drivers/cmsdk_uart.c)
# The secure address.
set(VQ_BOARD_DEFINITIONS
    VQ_MPS_NAME="mps3-an547"
    VQ_MPS_UART0=0x59303000u
    VQ_MPS_CORE_HZ=32000000u
    VQ_MPS_PERIPHERALS_HZ=25000000u)

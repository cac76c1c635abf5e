# The computer that builds it: a process whose standard input and output are the link.
set(VQ_BOARD_CFLAGS "")
set(VQ_BOARD_MEMORY "")
set(VQ_BOARD_SOURCES boards/host/board.c)

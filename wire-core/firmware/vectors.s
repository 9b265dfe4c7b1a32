/* The board's interrupts in the vector table: number 0, a byte on UART 0. Without a table of its own the start-up code has
   room for 240, which is 1 kB of flash. */
    .section .vector_table.interrupts, "a"
    .global __INTERRUPTS
__INTERRUPTS:
    .word DefaultHandler

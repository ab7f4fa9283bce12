/*
 * Which of the workers that open gets the packets of an SPI: the kernel is told the same by a
 * filter on the outer sockets, so that one SA's inbound state is written by one worker alone.
 */
#ifndef SEKISHO_DATAPLANE_SPI_OPENER_H
#define SEKISHO_DATAPLANE_SPI_OPENER_H

#include <stdint.h>

/* What a filter without loops and tables can do as well: multiply, shift, take the rest. */
#define SPI_OPENER_FACTOR UINT32_C(0x9e3779b1)
#define SPI_OPENER_SHIFT 16

static inline uint32_t spi_opener(uint32_t spi, uint32_t openers)
{
    return openers < 2 ? 0 : (spi * SPI_OPENER_FACTOR >> SPI_OPENER_SHIFT) % openers;
}

#endif

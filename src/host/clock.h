/* The time: milliseconds that never go back for every deadline, and the date for lines that people
 * read. */
#ifndef SEKISHO_HOST_CLOCK_H
#define SEKISHO_HOST_CLOCK_H

#include "base/defs.h"

/* Since some moment before the start of the system; counts on while the machine sleeps. */
uint64_t clock_now_ms(void);
uint64_t clock_now_us(void); /* the same clock, finer */
/* Since 1970, UTC. Jumps when somebody sets the clock: never a deadline. */
uint64_t clock_date_ms(void);

/* CLOCK_MONOTONIC in microseconds: what the service manager wants to hear. */
uint64_t clock_monotonic_us(void);

#endif

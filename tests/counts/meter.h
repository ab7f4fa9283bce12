/* Counts what the data plane must not do while a packet passes, where the program is built with it.
 */
#ifndef SEKISHO_TESTS_COUNTS_METER_H
#define SEKISHO_TESTS_COUNTS_METER_H

#ifdef WITH_METER
void meter_on(void);
void meter_off(void);
/* " allocations N calls N copied N", and begins anew. */
void meter_print(void);
#else
static inline void meter_on(void)
{
}
static inline void meter_off(void)
{
}
static inline void meter_print(void)
{
}
#endif

#endif

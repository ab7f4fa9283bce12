/* Words that every room uses about its own functions. */
#ifndef SEKISHO_BASE_DEFS_H
#define SEKISHO_BASE_DEFS_H

#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define ALWAYS_INLINE inline __attribute__((always_inline))
/* A large local array that is written before it is read: the compiler, which sets all others to
 * zero in a hardened build, leaves it alone. */
#define NOT_ZEROED __attribute__((uninitialized))
#define PRINTF_LIKE(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Times are milliseconds of a clock that never goes back; a deadline of NEVER_MS does not come. */
#define NEVER_MS UINT64_MAX

#endif

/* The list of what our own authority revoked, given by HTTP on the port that the configuration
 * says. */
#ifndef SEKISHO_SEKISHOD_LISTS_H
#define SEKISHO_SEKISHOD_LISTS_H

#include <stdbool.h>
#include <stdint.h>

struct daemon;
struct lists;

/* As the configuration says now: opens or closes the port, reads the list again. */
void lists_apply(struct daemon *daemon);
/* The file may be another one now. */
void lists_read(struct daemon *daemon);
void lists_turn(struct daemon *daemon, uint64_t now_ms);
/* What is wrong with it, for status; NULL: nothing. */
const char *lists_trouble(const struct daemon *daemon, const char **next);
void lists_free(struct lists *lists); /* NULL is allowed */

#endif

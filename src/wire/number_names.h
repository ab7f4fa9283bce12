/* Numbers of a format and what they are called. */
#ifndef SEKISHO_WIRE_NUMBER_NAMES_H
#define SEKISHO_WIRE_NUMBER_NAMES_H

#include "base/text.h"

struct number_name {
    uint16_t number;
    const char *name;
};

/* NULL when it has no name. */
const char *number_name_find(const struct number_name *names, size_t count, unsigned number);
/* The name, or the number itself. */
void number_name_add(struct text *out, const struct number_name *names, size_t count,
                     unsigned number);

#define ADD_NAME(out, names, number) number_name_add(out, names, ARRAY_LENGTH(names), number)

#endif

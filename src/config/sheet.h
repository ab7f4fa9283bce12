/* Text that grows as it is written, for answers whose size is not known before. */
#ifndef SEKISHO_CONFIG_SHEET_H
#define SEKISHO_CONFIG_SHEET_H

#include <stdbool.h>

#include "base/bytes.h"

/* Zeros are an empty sheet. Running out of memory sticks. */
struct sheet {
    char *data; /* owned; terminated unless NULL */
    size_t length;
    size_t capacity;
    bool failed;
};

void sheet_add(struct sheet *s, const char *words);
void sheet_add_slice(struct sheet *s, struct slice words);
void sheet_add_repeated(struct sheet *s, char c, size_t times);
void sheet_addf(struct sheet *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* For use again. */
void sheet_clear(struct sheet *s);
struct slice sheet_slice(const struct sheet *s);
void sheet_fini(struct sheet *s);
/* The text, to be freed; NULL when there was no memory. The sheet is empty afterwards. */
char *sheet_take(struct sheet *s);

#endif

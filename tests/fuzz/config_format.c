/*
 * Text of any bytes through the formatter: what it writes stays as it is when it is formatted
 * again.
 */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "fuzz.h"

FUZZ(config_format, 8000)
{
    if (size > 16384) {
        return 0;
    }
    char *once = config_format((struct slice){data, size});

    if (once == NULL) {
        return 0;
    }
    char *twice = config_format(slice_of_text(once));

    MUST(twice != NULL && strcmp(once, twice) == 0);
    free(once);
    free(twice);
    return 0;
}

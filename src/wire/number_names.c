/* Decides how a number is shown: by its name when it has one. */
#include "wire/number_names.h"

const char *number_name_find(const struct number_name *names, size_t count, unsigned number)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i].number == number) {
            return names[i].name;
        }
    }
    return NULL;
}

void number_name_add(struct text *out, const struct number_name *names, size_t count,
                     unsigned number)
{
    const char *name = number_name_find(names, count, number);

    if (name != NULL) {
        text_add(out, name);
    } else {
        text_addf(out, "%u", number);
    }
}

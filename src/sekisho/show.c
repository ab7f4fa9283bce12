/* How values look to a person: durations, sizes, members of an answer. */
#include "sekisho/command.h"

#include <stdio.h>

const char *show_duration(double seconds, char text[32])
{
    if (seconds < 0) {
        snprintf(text, 32, "-");
    } else if (seconds < 120) {
        snprintf(text, 32, "%.0f s", seconds);
    } else if (seconds < 7200) {
        snprintf(text, 32, "%.0f min", seconds / 60);
    } else if (seconds < 172800) {
        snprintf(text, 32, "%.0f h", seconds / 3600);
    } else {
        snprintf(text, 32, "%.0f d", seconds / 86400);
    }
    return text;
}

const char *show_bytes(double bytes, char text[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;

    while (bytes >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1000;
        unit++;
    }
    snprintf(text, 32, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}

const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

double number_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

bool is_true(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

void print_json(const json_t *value)
{
    if (json_dumpf(value, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) == 0) {
        putchar('\n');
    }
}

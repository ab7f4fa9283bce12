/* How values look to a person: durations, sizes, members of an answer. */
#include "sekisho/command.h"

#include <stdarg.h>
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

int fail_with(bool json, int exit_code, const char *next, const char *format, ...)
{
    char sentence[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    if (!json) {
        fprintf(stderr, "sekisho: %s%s%s\n", sentence, next == NULL ? "" : "\n",
                next == NULL ? "" : next);
        return exit_code;
    }
    json_t *text = json_string(sentence);
    json_t *told = json_pack("{s:i, s:i, s:o}", "version", 1, "exit", exit_code, "error",
                             text == NULL ? json_string("(words that are not UTF-8)") : text);

    if (next != NULL) {
        json_object_set_new(told, "next", json_string(next));
    }
    print_json(told);
    json_decref(told);
    return exit_code;
}

void print_json(const json_t *value)
{
    if (json_dumpf(value, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12)) ==
        0) {
        putchar('\n');
    }
}

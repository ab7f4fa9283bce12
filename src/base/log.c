/* Makes one whole, harmless line and hands it to the sink. */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/* Control characters and all that is not ASCII would let a stranger write lines or colours of his
 * own. */
static bool is_harmless(unsigned char c)
{
    return c >= 0x20 && c < 0x7f;
}

static void write_escaped(const char *from, char to[LOG_LINE_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    size_t length = 0;

    for (; *from != '\0'; from++) {
        unsigned char c = (unsigned char)*from;
        size_t needed = is_harmless(c) ? 1 : 4;

        if (length + needed >= LOG_LINE_BYTES) {
            break;
        }
        if (needed == 1) {
            to[length++] = (char)c;
            continue;
        }
        to[length++] = '\\';
        to[length++] = 'x';
        to[length++] = digits[c >> 4];
        to[length++] = digits[c & 15];
    }
    to[length] = '\0';
}

void log_line(struct log_sink *sink, enum log_level level, const char *about, const char *format,
              ...)
{
    if (sink == NULL || sink->write == NULL) {
        return;
    }
    char raw[LOG_LINE_BYTES];
    char line[LOG_LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    int written = vsnprintf(raw, sizeof(raw), format, arguments);

    va_end(arguments);
    if (written < 0) {
        return;
    }
    write_escaped(raw, line);
    sink->write(sink->context, level, about, line);
}

const char *log_level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_NOTICE:
        return "notice";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "debug";
}

/*
 * Decides how a configuration is written down again: as text that can be read again and then means
 * the same, with all defaults when they are asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "config/compare.h"
#include "config/presets.h"
#include "config/schema.h"

/* Each line with where it comes from. */
static void add_marked(struct sheet *out, struct slice lines, const char *preset)
{
    const uint8_t *end = lines.data + lines.length;

    while (lines.data < end) {
        const uint8_t *newline = memchr(lines.data, '\n', (size_t)(end - lines.data));
        const uint8_t *next = newline == NULL ? end : newline + 1;
        size_t length = (size_t)((newline == NULL ? end : newline) - lines.data);

        sheet_add_slice(out, (struct slice){lines.data, length});
        sheet_addf(out, " # like %s\n", preset);
        lines.data = next;
    }
}

/* What a preset gave is not said again, or, where all is shown, marked. */
static void write_given(const struct schema_word *w, const struct shown *shown)
{
    struct sheet sheet = {0};
    struct shown into = *shown;

    if (shown->mode == SHOW_SAID) {
        return;
    }
    into.out = &sheet;
    schema_write(w, &into);
    add_marked(shown->out, sheet_slice(&sheet), shown->site->like);
    shown->out->failed |= sheet.failed;
    sheet_fini(&sheet);
}

static void write_scope(const struct shown *shown, enum schema_scope scope)
{
    const struct schema_word *w;

    for (size_t i = 0; (w = schema_at(i)) != NULL; i++) {
        if (!schema_stands(w, scope) || w->internal) {
            continue;
        }
        if (scope == SCOPE_SITE && preset_gave(shown->site, w->word)) {
            write_given(w, shown);
        } else {
            schema_write(w, shown);
        }
    }
}

char *config_show(const struct config *config, bool all)
{
    struct sheet sheet = {0};
    struct shown shown = {.config = config, .mode = all ? SHOW_ALL : SHOW_SAID, .out = &sheet};

    write_scope(&shown, SCOPE_GATEWAY);
    for (size_t i = 0; i < config->site_count; i++) {
        shown.site = &config->sites[i];
        sheet_addf(&sheet, "\n%s %s {\n", shown.site->access == NULL ? "site" : "remote-access",
                   shown.site->name);
        write_scope(&shown, shown.site->access == NULL ? SCOPE_SITE : SCOPE_ACCESS);
        sheet_add(&sheet, "}\n");
    }
    shown.site = NULL;
    for (size_t i = 0; i < config->manual_count; i++) {
        shown.manual = &config->manuals[i];
        sheet_addf(&sheet, "\nmanual %s {\n", shown.manual->name);
        write_scope(&shown, SCOPE_MANUAL);
        sheet_add(&sheet, "}\n");
    }
    char *text = sheet.failed ? NULL : config_format(sheet_slice(&sheet));

    sheet_fini(&sheet);
    return text;
}

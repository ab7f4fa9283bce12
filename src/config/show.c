/*
 * Decides how a configuration is written down again: as text that can be read again and then means
 * the same, with all defaults when they are asked for.
 */
#include <stdlib.h>

#include "config/compare.h"
#include "config/schema.h"

static void write_scope(const struct shown *shown, enum schema_scope scope)
{
    const struct schema_word *w;

    for (size_t i = 0; (w = schema_at(i)) != NULL; i++) {
        if (w->scope == scope && !w->internal) {
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
        sheet_addf(&sheet, "\nsite %s {\n", shown.site->name);
        write_scope(&shown, SCOPE_SITE);
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

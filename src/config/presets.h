/*
 * What a word `like PRODUCT` says about a site: the one table of presets. Each is a list of lines
 * of the language itself, taken where the site does not say the word.
 */
#ifndef SEKISHO_CONFIG_PRESETS_H
#define SEKISHO_CONFIG_PRESETS_H

#include "config/reading.h"

#define PRESET_LINES_MAX 10

struct preset {
    const char *name; /* behind `like` */
    const char *product; /* for people */
    const char *lines[PRESET_LINES_MAX]; /* NULL behind the last */
};

/* NULL behind the last. */
const struct preset *preset_at(size_t index);
const struct preset *preset_find(struct slice name);
/* Takes what the open site did not say. */
void preset_apply(struct reading *r);
/* Whether all that the site has of this word comes from its preset. */
MUST_USE bool preset_gave(const struct config_site *site, const char *word);

#endif

/*
 * Decides when two configurations mean the same: a site is its words as they would be shown with
 * all defaults, so that what is shown and what is compared can never differ.
 */
#include "config/compare.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/schema.h"

static const uint8_t hash_key[16] = "configuration 1 ";

static uint64_t write_and_hash(const struct shown *shown, enum schema_scope scope)
{
    const struct schema_word *w;

    sheet_clear(shown->out);
    for (size_t i = 0; (w = schema_at(i)) != NULL; i++) {
        if (schema_stands(w, scope) && !w->internal) {
            schema_write(w, shown);
        }
    }
    if (shown->site != NULL || shown->manual != NULL) {
        sheet_add(shown->out, shown->site != NULL ? shown->site->name : shown->manual->name);
    }
    return siphash24(hash_key, sheet_slice(shown->out));
}

/* What a site takes from the gateway's networks is hashed once for all. */
static uint64_t hash_of_lans(const struct config *config, struct sheet *sheet)
{
    const struct shown shown = {.config = config, .mode = SHOW_HASH, .out = sheet};
    const struct schema_word *lan = schema_find(SCOPE_GATEWAY, SLICE_TEXT("lan"));

    sheet_clear(sheet);
    schema_write(lan, &shown);
    /* The line is "lan HASH"; its sixteen digits are the value. */
    uint64_t hash = 0;

    for (size_t i = 4; i + 1 < sheet->length; i++) {
        char c = sheet->data[i];
        hash = hash << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return hash;
}

static void chain(struct config *config, uint64_t hash)
{
    uint8_t chained[16];

    put_u64(chained, config->hash);
    put_u64(chained + 8, hash);
    config->hash = siphash24(hash_key, SLICE_OF(chained));
}

bool hashes_make(struct config *config)
{
    struct sheet sheet = {0};
    struct shown shown = {.config = config, .mode = SHOW_HASH, .out = &sheet};

    shown.lans_hash = hash_of_lans(config, &sheet);
    config->hash = write_and_hash(&shown, SCOPE_GATEWAY);
    for (size_t i = 0; i < config->site_count; i++) {
        /* The list was made for this configuration and nobody else has seen it yet. */
        struct config_site *site = (struct config_site *)(uintptr_t)&config->sites[i];
        shown.site = site;
        site->hash = write_and_hash(&shown, site->access == NULL ? SCOPE_SITE : SCOPE_ACCESS);
        chain(config, site->hash);
    }
    shown.site = NULL;
    for (size_t i = 0; i < config->manual_count; i++) {
        struct config_manual *manual = (struct config_manual *)(uintptr_t)&config->manuals[i];
        shown.manual = manual;
        manual->hash = write_and_hash(&shown, SCOPE_MANUAL);
        chain(config, manual->hash);
    }
    bool good = !sheet.failed;

    sheet_fini(&sheet);
    return good;
}

const struct config_site *config_find_site(const struct config *config, const char *name)
{
    size_t low = 0;
    size_t high = config->site_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(config->by_name[middle]->name, name);
        if (order == 0) {
            return config->by_name[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const struct config_manual *config_find_manual(const struct config *config, const char *name)
{
    size_t low = 0;
    size_t high = config->manual_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(config->manuals_by_name[middle]->name, name);
        if (order == 0) {
            return config->manuals_by_name[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* ---- the difference ---- */

static const char *const effect_words[] = {
    [EFFECT_NOW] = "changed",
    [EFFECT_CHILD] = "changed: tunnels will be made anew without a gap",
    [EFFECT_NEGOTIATE] = "changed: will be negotiated again without a gap",
};

const char *config_change_name(const struct config_change *change)
{
    return change->new_site != NULL     ? change->new_site->name
           : change->old_site != NULL   ? change->old_site->name
           : change->new_manual != NULL ? change->new_manual->name
                                        : change->old_manual->name;
}

static void write_one(const struct schema_word *w, const struct config *config,
                      const struct config_site *site, const struct config_manual *manual,
                      struct sheet *out)
{
    const struct shown shown = {
        .config = config, .site = site, .manual = manual, .mode = SHOW_ALL, .out = out};

    sheet_clear(out);
    schema_write(w, &shown);
}

/* The words whose values differ, and what the most disturbing of them means. */
static void describe(const struct config *old_config, const struct config *new_config,
                     struct config_change *change)
{
    enum schema_scope scope = change->new_site == NULL           ? SCOPE_MANUAL
                              : change->new_site->access != NULL ? SCOPE_ACCESS
                                                                 : SCOPE_SITE;
    char names[64];
    struct text list = text_over(names, sizeof(names));
    enum schema_effect effect = EFFECT_NOW;
    struct sheet before = {0};
    struct sheet after = {0};
    const struct schema_word *w;
    size_t more = 0;

    for (size_t i = 0; (w = schema_at(i)) != NULL; i++) {
        if (!schema_stands(w, scope) || w->internal) {
            continue;
        }
        write_one(w, old_config, change->old_site, change->old_manual, &before);
        write_one(w, new_config, change->new_site, change->new_manual, &after);
        if (slice_equal(sheet_slice(&before), sheet_slice(&after))) {
            continue;
        }
        effect = w->effect > effect ? w->effect : effect;
        /* Three names, then their number. */
        if (list.length + strlen(w->word) + 2 > 36) {
            more++;
        } else {
            text_addf(&list, "%s%s", list.length > 0 ? ", " : "", w->word);
        }
    }
    if (more > 0) {
        text_addf(&list, " +%zu", more);
    }
    struct text words = text_over(change->words, sizeof(change->words));

    if (effect != EFFECT_NOW || change->new_site == NULL ||
        !access_pool_change(change->old_site, change->new_site, change->words,
                            sizeof(change->words))) {
        text_addf(&words, "%s %s", names, effect_words[effect]);
    }
    assert(!words.cut);
    sheet_fini(&before);
    sheet_fini(&after);
}

/* Where the changes go. */
struct changes {
    const struct config *old_config, *new_config;
    struct config_change *out;
    size_t capacity;
    size_t count;
};

static void add_change(struct changes *all, const struct config_change *change)
{
    if (all->count < all->capacity) {
        all->out[all->count] = *change;
    }
    all->count++;
}

static void add_removed(struct changes *all, struct config_change change)
{
    change.kind = SITE_REMOVED;
    snprintf(change.words, sizeof(change.words), "removed: its tunnels will be closed");
    add_change(all, &change);
}

/* Of what is in the new configuration. */
static void add_present(struct changes *all, struct config_change change, bool is_new,
                        bool is_equal)
{
    if (is_new) {
        change.kind = SITE_ADDED;
        snprintf(change.words, sizeof(change.words), "added");
    } else if (is_equal) {
        change.kind = SITE_UNCHANGED;
        snprintf(change.words, sizeof(change.words), "unchanged, stays as it is");
    } else {
        change.kind = SITE_CHANGED;
        if (all->count < all->capacity) {
            describe(all->old_config, all->new_config, &change);
        }
    }
    add_change(all, &change);
}

static void compare_sites(struct changes *all)
{
    for (size_t i = 0; i < all->new_config->site_count; i++) {
        const struct config_site *site = &all->new_config->sites[i];
        struct config_change change = {.new_site = site};
        if (all->old_config != NULL) {
            change.old_site = config_find_site(all->old_config, site->name);
        }
        /* A site that becomes a block for people, or the reverse, has nothing of the old one. */
        if (change.old_site != NULL &&
            (change.old_site->access != NULL) != (site->access != NULL)) {
            change.old_site = NULL;
        }
        bool is_new = change.old_site == NULL;
        add_present(all, change, is_new, !is_new && change.old_site->hash == site->hash);
    }
}

static void compare_manuals(struct changes *all)
{
    for (size_t i = 0; i < all->new_config->manual_count; i++) {
        const struct config_manual *manual = &all->new_config->manuals[i];
        struct config_change change = {.new_manual = manual};
        if (all->old_config != NULL) {
            change.old_manual = config_find_manual(all->old_config, manual->name);
        }
        bool is_new = change.old_manual == NULL;
        add_present(all, change, is_new, !is_new && change.old_manual->hash == manual->hash);
    }
}

size_t config_compare(const struct config *old_config, const struct config *new_config,
                      struct config_change *out, size_t capacity)
{
    struct changes all = {old_config, new_config, out, capacity, 0};

    for (size_t i = 0; old_config != NULL && i < old_config->site_count; i++) {
        const struct config_site *site = &old_config->sites[i];
        if (config_find_site(new_config, site->name) == NULL) {
            add_removed(&all, (struct config_change){.old_site = site});
        }
    }
    for (size_t i = 0; old_config != NULL && i < old_config->manual_count; i++) {
        const struct config_manual *manual = &old_config->manuals[i];
        if (config_find_manual(new_config, manual->name) == NULL) {
            add_removed(&all, (struct config_change){.old_manual = manual});
        }
    }
    compare_sites(&all);
    compare_manuals(&all);
    return all.count;
}

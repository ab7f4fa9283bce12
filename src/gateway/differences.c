/*
 * Where two sides differ, attribute by attribute: made of the words in which both were told, so
 * that whoever reads need not compare long lists by eye.
 */
#include "gateway/inside.h"

#include <string.h>

#define WORDS_MAX 48

struct words {
    struct slice list[WORDS_MAX];
    size_t count;
};

/* Algorithms are joined by '-', proposals by ", "; a remark may stand behind in brackets. */
static void split(const char *text, const char *between, struct words *out)
{
    out->count = 0;
    for (const char *at = text; *at != '\0' && *at != '(' && out->count < WORDS_MAX;) {
        size_t length = strcspn(at, between);

        if (length > 0) {
            out->list[out->count++] = (struct slice){(const uint8_t *)at, length};
        }
        at += length + (at[length] != '\0');
    }
}

static bool is_of(uint8_t type, struct slice word, struct transform *t)
{
    return transform_by_word(type, word, t);
}

static bool has(const struct words *words, uint8_t type, const struct transform *wanted)
{
    for (size_t i = 0; i < words->count; i++) {
        struct transform t;

        if (is_of(type, words->list[i], &t) && t.id == wanted->id &&
            t.key_bits == wanted->key_bits) {
            return true;
        }
    }
    return false;
}

/* The words of a type, each once; whether there is one. */
static bool add_of(const struct words *words, uint8_t type, struct text *out)
{
    bool any = false;

    for (size_t i = 0; i < words->count; i++) {
        const struct words before = {.count = i};
        struct words earlier = before;
        struct transform t;

        memcpy(earlier.list, words->list, i * sizeof(words->list[0]));
        if (is_of(type, words->list[i], &t) && !has(&earlier, type, &t)) {
            text_addf(out, "%s%.*s", any ? " " : "", (int)words->list[i].length,
                      (const char *)words->list[i].data);
            any = true;
        }
    }
    return any;
}

static bool meet(const struct words *a, const struct words *b, uint8_t type)
{
    for (size_t i = 0; i < a->count; i++) {
        struct transform t;

        if (is_of(type, a->list[i], &t) && has(b, type, &t)) {
            return true;
        }
    }
    return false;
}

static void compare_offers(const struct words *ours, const struct words *theirs,
                           struct status_explanation *out)
{
    static const struct {
        uint8_t type;
        const char *name;
    } kinds[] = {
        {TRANSFORM_ENCRYPTION, "cipher"},
        {TRANSFORM_INTEGRITY, "hash"},
        {TRANSFORM_PRF, "prf"},
        {TRANSFORM_KEY_EXCHANGE, "group"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        char a_bytes[STATUS_WORDS_BYTES];
        char b_bytes[STATUS_WORDS_BYTES];
        struct text a = text_over(a_bytes, sizeof(a_bytes));
        struct text b = text_over(b_bytes, sizeof(b_bytes));
        bool has_a = add_of(ours, kinds[i].type, &a);
        bool has_b = add_of(theirs, kinds[i].type, &b);

        if (!has_a && !has_b) {
            continue;
        }
        struct text line =
            text_over(out->differences[out->difference_count++], STATUS_SENTENCE_BYTES);

        text_addf(&line, "%-6s  ours %s; theirs %s: %s", kinds[i].name, has_a ? a_bytes : "none",
                  has_b ? b_bytes : "none",
                  meet(ours, theirs, kinds[i].type) ? "fits" : "NOTHING IN COMMON");
    }
}

/* "10.1.0.0/16, 10.5.0.0/16 === 10.2.0.0/16": the half before or behind the signs. */
static void half_of(const char *text, bool second, char out[STATUS_WORDS_BYTES])
{
    const char *signs = strstr(text, " === ");
    size_t length = signs == NULL ? strlen(text) : (size_t)(signs - text);

    if (second) {
        text = signs == NULL ? "" : signs + 5;
        length = strlen(text);
    }
    length = length < STATUS_WORDS_BYTES ? length : STATUS_WORDS_BYTES - 1;
    memcpy(out, text, length);
    out[length] = '\0';
}

static bool has_word(const struct words *words, struct slice wanted)
{
    for (size_t i = 0; i < words->count; i++) {
        if (slice_equal(words->list[i], wanted)) {
            return true;
        }
    }
    return false;
}

static void add_only(const struct words *a, const struct words *b, const char *who,
                     struct text *out)
{
    bool any = false;

    for (size_t i = 0; i < a->count; i++) {
        if (!has_word(b, a->list[i])) {
            text_addf(out, "%s%.*s", any ? " " : who, (int)a->list[i].length,
                      (const char *)a->list[i].data);
            any = true;
        }
    }
}

static void compare_networks(const char *ours, const char *theirs, struct status_explanation *out)
{
    static const char *const names[] = {"networks here", "networks there"};

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char a_bytes[STATUS_WORDS_BYTES];
        char b_bytes[STATUS_WORDS_BYTES];
        struct words a;
        struct words b;
        struct text line =
            text_over(out->differences[out->difference_count++], STATUS_SENTENCE_BYTES);

        half_of(ours, i == 1, a_bytes);
        half_of(theirs, i == 1, b_bytes);
        split(a_bytes, ", ", &a);
        split(b_bytes, ", ", &b);
        text_addf(&line, "%s:", names[i]);
        size_t before = line.length;

        add_only(&a, &b, " only we say ", &line);
        add_only(&b, &a, line.length > before ? ", only the peer says " : " only the peer says ",
                 &line);
        if (line.length == before) {
            text_add(&line, " the same on both sides");
        }
    }
}

void differences_find(enum reason reason, struct status_explanation *out)
{
    struct words ours;
    struct words theirs;

    out->difference_count = 0;
    if (out->ours[0] == '\0' || out->theirs[0] == '\0') {
        return;
    }
    if (reason == REASON_NO_PROPOSAL || reason == REASON_NO_CHILD_PROPOSAL ||
        reason == REASON_SUITE_NOT_ALLOWED) {
        split(out->ours, "-, ", &ours);
        split(out->theirs, "-, ", &theirs);
        compare_offers(&ours, &theirs, out);
    } else if (reason == REASON_SELECTORS && strstr(out->ours, " === ") != NULL &&
               strstr(out->theirs, " === ") != NULL) {
        compare_networks(out->ours, out->theirs, out);
    }
}

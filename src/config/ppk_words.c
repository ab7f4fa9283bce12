/* Decides what the word ppk of a site means: which key, how it is called, who may do without. */
#include <string.h>

#include "base/text.h"
#include "config/schema.h"

#define LEAST_BYTES 32 /* RFC 8784 6: 256 bits, of which a quantum computer leaves half */

static bool take_id(struct reading *r, const struct word *word, struct config_ppk *ppk)
{
    struct slice text = word->text;
    bool octets = text.length >= 2 && memcmp(text.data, "@#", 2) == 0;
    size_t length = 0;

    if (octets) {
        text.data += 2;
        text.length -= 2;
        if (!hex_parse(text, ppk->id_bytes, sizeof(ppk->id_bytes), &length)) {
            length = 0;
        }
    } else if (text.length <= sizeof(ppk->id_bytes)) {
        memcpy(ppk->id_bytes, text.data, text.length);
        length = text.length;
    }
    if (length == 0 || memchr(word->text.data, 0, word->text.length) != NULL) {
        COMPLAIN(r, word->place, "such as: ppk @osaka id osaka-2026; or in octets: id @#0a0b0c",
                 "the name of a PPK has 1 to %zu octets", sizeof(ppk->id_bytes));
        return false;
    }
    ppk->id = arena_text(r->arena, word->text);
    ppk->id_length = (uint8_t)length;
    return true;
}

/* How long it is can be seen, how well it was made cannot. */
static void check_length(struct reading *r, const struct config_ppk *ppk)
{
    struct secret text = {0};
    char why[256] = "";

    if (r->loader->secret_text == NULL) {
        return;
    }
    if (r->loader->secret_text(r->loader->context, ppk->secret.name, &text, why, sizeof(why)) &&
        text.length < LEAST_BYTES) {
        WARN(r, ppk->secret.place, "make another with: sekisho secret new NAME",
             "@%s has %zu octets: against quantum computers a PPK needs %d, of pure chance (RFC "
             "8784 6)",
             ppk->secret.name, text.length, LEAST_BYTES);
    }
    secret_wipe(&text);
}

/* The words behind the secret, in any order and each once; false: it was told what is wrong. */
static bool take_rest(struct reading *r, const struct statement *s, struct config_ppk *ppk)
{
    bool judged = false;

    for (size_t at = 2; at < s->count; at++) {
        const struct word *word = &s->words[at];

        if (is_word(word, "id") && at + 1 < s->count && ppk->id == NULL) {
            if (!take_id(r, &s->words[++at], ppk)) {
                return false;
            }
        } else if (is_word(word, "opaque") && !ppk->opaque) {
            ppk->opaque = true;
        } else if (is_word(word, "auth-only") && !ppk->auth_only) {
            ppk->auth_only = true;
        } else if ((is_word(word, "required") || is_word(word, "prefer")) && !judged) {
            ppk->required = is_word(word, "required");
            judged = true;
        } else {
            COMPLAIN(r, word->place, "such as: ppk @osaka id osaka-2026 prefer",
                     "behind the secret can stand: id NAME, opaque, auth-only, and required or "
                     "prefer");
            return false;
        }
    }
    return true;
}

void take_ppk(struct reading *r, const struct statement *s)
{
    struct config_ppk *ppk = arena_take(r->arena, sizeof(*ppk));

    if (ppk == NULL || !take_secret_name(r, &s->words[1], &ppk->secret)) {
        return;
    }
    ppk->required = true;
    if (!take_rest(r, s, ppk)) {
        return;
    }
    if (ppk->id == NULL) {
        ppk->id = ppk->secret.name;
        ppk->id_length = (uint8_t)strlen(ppk->id);
        memcpy(ppk->id_bytes, ppk->id, ppk->id_length);
    }
    check_length(r, ppk);
    r->site.ppk = ppk;
}

void write_ppk(const struct schema_word *w, const struct shown *shown)
{
    const struct config_ppk *ppk = shown->site->ppk;

    if (ppk == NULL) {
        return;
    }
    sheet_addf(shown->out, "%s @%s", w->word, ppk->secret.name);
    if (shown->mode != SHOW_SAID || strcmp(ppk->id, ppk->secret.name) != 0) {
        sheet_add(shown->out, " id ");
        sheet_add_word(shown->out, ppk->id);
    }
    sheet_add(shown->out, ppk->opaque ? " opaque" : "");
    sheet_add(shown->out, ppk->auth_only ? " auth-only" : "");
    sheet_add(shown->out, !ppk->required             ? " prefer\n"
                          : shown->mode != SHOW_SAID ? " required\n"
                                                     : "\n");
}

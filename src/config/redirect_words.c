/* Decides what the words mean that are about other gateways (RFC 5685): where callers are sent. */
#include "config/schema.h"

#include <string.h>

void take_redirect(struct reading *r, const struct statement *s)
{
    const struct word *word = &s->words[1];
    const struct config_host **to =
        r->scope == SCOPE_GATEWAY ? &r->config->redirect : &r->site.redirect;
    struct config_host host, *kept;
    struct complaint c;

    *to = NULL;
    if (is_word(word, "off")) {
        return;
    }
    if (!value_host(word->text, &host, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
        return;
    }
    if (host.address.family != FAMILY_NONE &&
        (address_is_multicast(&host.address) || address_is_any(&host.address))) {
        COMPLAIN(r, word->place, "such as: redirect 203.0.113.9", "nobody can be sent there");
        return;
    }
    kept = arena_take(r->arena, sizeof(*kept));
    host.text = arena_text(r->arena, word->text);
    if (kept != NULL && host.text != NULL) {
        *kept = host;
        *to = kept;
    }
}

void write_redirect(const struct schema_word *w, const struct shown *shown)
{
    const struct config_host *host =
        w->scope == SCOPE_GATEWAY ? shown->config->redirect : shown->site->redirect;

    if (host != NULL) {
        shown_line(shown, w->word, strcmp(host->text, "off") == 0 ? "\"%s\"" : "%s", host->text);
    } else if (shown->mode != SHOW_SAID) {
        shown_line(shown, w->word, "off");
    }
}

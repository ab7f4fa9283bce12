/* Decides what the words of a site mean that are about coming back and about proving again. */
#include "config/schema.h"

#define SECONDS(n) ((n)*UINT64_C(1000))
#define DAYS(n) ((n)*UINT64_C(86400000))

void take_reauthenticate(struct reading *r, const struct statement *s)
{
    const struct word *word = &s->words[1];
    struct complaint c;

    if (is_word(word, "off")) {
        r->site.reauthenticate_ms = NEVER_MS;
    } else if (!value_duration(word->text, SECONDS(10), DAYS(30), &r->site.reauthenticate_ms, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
    }
}

void write_reauthenticate(const struct schema_word *w, const struct shown *shown)
{
    uint64_t every_ms = shown->site->reauthenticate_ms;
    char text[VALUE_TEXT_BYTES];

    if (shown->mode != SHOW_SAID || every_ms != NEVER_MS) {
        shown_line(shown, w->word, "%s",
                   every_ms == NEVER_MS ? "off" : value_duration_text(every_ms, text));
    }
}

/* Decides what the words of a site mean that are about coming back and about proving again. */
#include "config/schema.h"

#define SECONDS(n) ((n)*UINT64_C(1000))
#define DAYS(n) ((n)*UINT64_C(86400000))

static void take_time(struct reading *r, const struct word *word, uint64_t most_ms, uint64_t *out)
{
    struct complaint c;

    if (is_word(word, "off")) {
        *out = NEVER_MS;
    } else if (!value_duration(word->text, SECONDS(10), most_ms, out, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
    }
}

static void write_time(const struct schema_word *w, const struct shown *shown, uint64_t time_ms)
{
    char text[VALUE_TEXT_BYTES];

    if (shown->mode != SHOW_SAID || time_ms != NEVER_MS) {
        shown_line(shown, w->word, "%s",
                   time_ms == NEVER_MS ? "off" : value_duration_text(time_ms, text));
    }
}

void take_reauthenticate(struct reading *r, const struct statement *s)
{
    take_time(r, &s->words[1], DAYS(30), &r->site.reauthenticate_ms);
}

void write_reauthenticate(const struct schema_word *w, const struct shown *shown)
{
    write_time(w, shown, shown->site->reauthenticate_ms);
}

void take_resume(struct reading *r, const struct statement *s)
{
    take_time(r, &s->words[1], DAYS(1), &r->site.resume_ms);
}

void write_resume(const struct schema_word *w, const struct shown *shown)
{
    write_time(w, shown, shown->site->resume_ms);
}

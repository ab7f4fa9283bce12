/* Decides what the words of a site mean that are about coming back and about proving again. */
#include "config/schema.h"

#define SECONDS(n) ((n)*UINT64_C(1000))
#define DAYS(n) ((n)*UINT64_C(86400000))

static void take_time(struct reading *r, const struct word *word, uint64_t most_ms, uint32_t *out_s)
{
    struct complaint c;
    uint64_t time_ms = 0;

    if (is_word(word, "off")) {
        *out_s = 0;
    } else if (value_duration(word->text, SECONDS(10), most_ms, &time_ms, &c)) {
        *out_s = (uint32_t)(time_ms / 1000);
    } else {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
    }
}

static void write_time(const struct schema_word *w, const struct shown *shown, uint32_t time_s)
{
    char text[VALUE_TEXT_BYTES];

    if (shown->mode != SHOW_SAID || time_s != 0) {
        shown_line(shown, w->word, "%s",
                   time_s == 0 ? "off" : value_duration_text(SECONDS(time_s), text));
    }
}

void take_reauthenticate(struct reading *r, const struct statement *s)
{
    take_time(r, &s->words[1], DAYS(30), &r->site.reauthenticate_s);
}

void write_reauthenticate(const struct schema_word *w, const struct shown *shown)
{
    write_time(w, shown, shown->site->reauthenticate_s);
}

void take_resume(struct reading *r, const struct statement *s)
{
    take_time(r, &s->words[1], DAYS(1), &r->site.resume_s);
}

void write_resume(const struct schema_word *w, const struct shown *shown)
{
    write_time(w, shown, shown->site->resume_s);
}

/* Decides what the words of a site mean that are about going back to what is better. */
#include "config/schema.h"

#define SECONDS(n) ((n)*UINT64_C(1000))
#define LEAST_S 10
#define MOST_S (12 * 3600)

static void take_wait(struct reading *r, const struct word *word, uint16_t *out_s)
{
    struct complaint c;
    uint64_t time_ms = 0;

    if (is_word(word, "off")) {
        *out_s = 0;
    } else if (value_duration(word->text, SECONDS(LEAST_S), SECONDS(MOST_S), &time_ms, &c)) {
        *out_s = (uint16_t)(time_ms / 1000);
    } else {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
    }
}

static void write_wait(const struct schema_word *w, const struct shown *shown, uint16_t time_s,
                       uint16_t standard_s)
{
    char text[VALUE_TEXT_BYTES];

    if (shown->mode != SHOW_SAID || time_s != standard_s) {
        shown_line(shown, w->word, "%s",
                   time_s == 0 ? "off" : value_duration_text(SECONDS(time_s), text));
    }
}

void take_return(struct reading *r, const struct statement *s)
{
    take_wait(r, &s->words[1], &r->site.return_s);
}

void write_return(const struct schema_word *w, const struct shown *shown)
{
    write_wait(w, shown, shown->site->return_s, DEFAULT_RETURN_S);
}

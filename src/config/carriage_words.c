/*
 * Decides what the words mean that say how packets are carried, in sites and in manual blocks:
 * their sizes, padding against traffic analysis, packets at a fixed rate; and which of them cannot
 * go together.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "config/schema.h"

#define MSS_LEAST 216 /* RFC 879's 536 is usual; below this nothing useful remains of a packet */
#define MTU_LEAST 576
#define PAD_LEAST 64
#define PAD_MOST (CONFIG_TFC_MTU - 1)
#define DUMMY_LEAST_MS 10
#define DUMMY_MOST_MS UINT64_C(86400000)
#define IPTFS_PACKET_LEAST 128
#define RATE_LEAST UINT64_C(1000)
#define RATE_MOST UINT64_C(1000000000000)

static struct config_carriage *carriage_of(struct reading *r)
{
    return r->scope == SCOPE_MANUAL ? &r->manual.carriage : &r->site.carriage;
}

static const struct config_carriage *carriage_shown(const struct shown *shown)
{
    return shown->manual != NULL ? &shown->manual->carriage : &shown->site->carriage;
}

bool take_bytes(struct reading *r, const struct word *word, uint64_t least, uint16_t *out)
{
    struct complaint c;
    uint64_t number;

    if (!value_number(word->text, least, UINT16_MAX, &number, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
        return false;
    }
    *out = (uint16_t)number;
    return true;
}

/* ---- mss, mtu ---- */

void take_mss(struct reading *r, const struct statement *s)
{
    uint16_t *mss = r->scope == SCOPE_MANUAL ? &r->manual.mss : &r->site.mss;
    const struct word *word = &s->words[1];

    if (is_word(word, "auto") || is_word(word, "off")) {
        *mss = is_word(word, "off") ? 1 : 0;
    } else {
        (void)take_bytes(r, word, MSS_LEAST, mss);
    }
}

void write_mss(const struct schema_word *w, const struct shown *shown)
{
    uint16_t mss = shown->manual != NULL ? shown->manual->mss : shown->site->mss;

    if (mss > 1) {
        shown_line(shown, w->word, "%u", (unsigned)mss);
    } else if (mss == 1) {
        shown_line(shown, w->word, "off");
    } else if (shown->mode != SHOW_SAID) {
        shown_line(shown, w->word, "auto");
    }
}

/* ---- per-worker-sas ---- */

void take_per_worker_sas(struct reading *r, const struct statement *s)
{
    const struct word *word = &s->words[1];
    struct complaint c;
    uint64_t number = CONFIG_PER_WORKER_AUTO;

    if (is_word(word, "off")) {
        number = CONFIG_PER_WORKER_OFF;
    } else if (!is_word(word, "auto") &&
               !value_number(word->text, 1, CONFIG_PER_WORKER_MOST, &number, &c)) {
        COMPLAIN(r, word->place, c.advice[0] != '\0' ? c.advice : "auto, off, or how many", "%s",
                 c.why);
        return;
    }
    r->site.per_worker_sas = (uint8_t)number;
}

void write_per_worker_sas(const struct schema_word *w, const struct shown *shown)
{
    uint8_t number = shown->site->per_worker_sas;

    if (number == CONFIG_PER_WORKER_OFF) {
        shown_line(shown, w->word, "off");
    } else if (number != CONFIG_PER_WORKER_AUTO) {
        shown_line(shown, w->word, "%u", (unsigned)number);
    } else if (shown->mode != SHOW_SAID) {
        shown_line(shown, w->word, "auto");
    }
}

void take_mtu(struct reading *r, const struct statement *s)
{
    uint16_t *mtu = r->scope == SCOPE_MANUAL ? &r->manual.mtu : &r->site.mtu;
    const struct word *word = &s->words[1];

    if (is_word(word, "auto")) {
        *mtu = 0;
    } else {
        (void)take_bytes(r, word, MTU_LEAST, mtu);
    }
}

void write_mtu(const struct schema_word *w, const struct shown *shown)
{
    uint16_t mtu = shown->manual != NULL ? shown->manual->mtu : shown->site->mtu;

    if (mtu > 0) {
        shown_line(shown, w->word, "%u", (unsigned)mtu);
    } else if (shown->mode != SHOW_SAID) {
        shown_line(shown, w->word, "auto");
    }
}

/* ---- tfc ---- */

static bool take_pad(struct reading *r, const struct word *word)
{
    uint16_t *bytes = &carriage_of(r)->tfc_bytes;
    struct complaint c;
    uint64_t number;

    if (is_word(word, "mtu") || is_word(word, "off")) {
        *bytes = is_word(word, "mtu") ? CONFIG_TFC_MTU : 0;
        return true;
    }
    if (!value_number(word->text, PAD_LEAST, PAD_MOST, &number, &c)) {
        COMPLAIN(r, word->place,
                 c.advice[0] != '\0' ? c.advice : "a number of octets, or: tfc pad mtu", "%s",
                 c.why);
        return false;
    }
    *bytes = (uint16_t)number;
    return true;
}

static bool take_dummy(struct reading *r, const struct word *word)
{
    struct complaint c;
    uint64_t ms = 0;

    if (!is_word(word, "off") &&
        !value_duration(word->text, DUMMY_LEAST_MS, DUMMY_MOST_MS, &ms, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
        return false;
    }
    carriage_of(r)->tfc_dummy_ms = (uint32_t)ms;
    return true;
}

void take_tfc(struct reading *r, const struct statement *s)
{
    static const char *const words[] = {"pad", "dummy"};
    char shown[VALUE_SHOWN_BYTES + 4];

    for (size_t i = 1; i < s->count; i += 2) {
        const struct word *word = &s->words[i];
        size_t which = is_word(word, words[0]) ? 0 : is_word(word, words[1]) ? 1 : 2;
        if (which == 2) {
            COMPLAIN(r, word->place, "such as: tfc pad mtu; tfc dummy 10s",
                     "'%s' is neither pad nor dummy", value_shown(word->text, shown));
            return;
        }
        if (r->tfc_said[which].line != 0) {
            COMPLAIN(r, word->place, NULL, "'tfc %s' is said twice, first on line %u", words[which],
                     (unsigned)r->tfc_said[which].line);
            return;
        }
        if (i + 1 == s->count) {
            COMPLAIN(r, word->place, "such as: tfc pad mtu; tfc dummy 10s",
                     "'%s' needs its value behind it", words[which]);
            return;
        }
        r->tfc_said[which] = word->place;
        if (!(which == 0 ? take_pad(r, &s->words[i + 1]) : take_dummy(r, &s->words[i + 1]))) {
            return;
        }
    }
}

void write_tfc(const struct schema_word *w, const struct shown *shown)
{
    const struct config_carriage *c = carriage_shown(shown);
    char pad[VALUE_TEXT_BYTES];
    char dummy[VALUE_TEXT_BYTES];

    if (shown->mode == SHOW_SAID && c->tfc_bytes == 0 && c->tfc_dummy_ms == 0) {
        return;
    }
    snprintf(pad, sizeof(pad), "%u", (unsigned)c->tfc_bytes);
    shown_line(shown, w->word, "pad %s dummy %s",
               c->tfc_bytes == 0                ? "off"
               : c->tfc_bytes == CONFIG_TFC_MTU ? "mtu"
                                                : pad,
               c->tfc_dummy_ms == 0 ? "off" : value_duration_text(c->tfc_dummy_ms, dummy));
}

/* ---- iptfs ---- */

/* One word of it with what stands behind; returns how many words were taken, 0 when told. */
static size_t take_iptfs_part(struct reading *r, const struct statement *s, size_t at)
{
    struct config_iptfs *iptfs = &carriage_of(r)->iptfs;
    const struct word *word = &s->words[at];
    bool rate = is_word(word, "rate");
    char shown[VALUE_SHOWN_BYTES + 4];
    struct complaint c;

    if (is_word(word, "congestion-control")) {
        iptfs->congestion_control = true;
        return 1;
    }
    if (!rate && !is_word(word, "size")) {
        COMPLAIN(r, word->place, "such as: iptfs rate 10Mb/s size 1400 congestion-control",
                 "'%s' is none of off, rate, size and congestion-control",
                 value_shown(word->text, shown));
        return 0;
    }
    if (rate ? iptfs->bits_per_second != 0 : iptfs->packet_bytes != 0) {
        COMPLAIN(r, word->place, NULL, "'%s' is said twice", rate ? "rate" : "size");
        return 0;
    }
    if (at + 1 == s->count) {
        COMPLAIN(r, word->place, rate ? "such as: rate 10Mb/s" : "such as: size 1400",
                 "'%s' needs its value behind it", rate ? "rate" : "size");
        return 0;
    }
    const struct word *value = &s->words[at + 1];

    if (!rate) {
        return take_bytes(r, value, IPTFS_PACKET_LEAST, &iptfs->packet_bytes) ? 2 : 0;
    }
    if (!value_rate(value->text, RATE_LEAST, RATE_MOST, &iptfs->bits_per_second, &c)) {
        COMPLAIN(r, value->place, c.advice, "%s", c.why);
        return 0;
    }
    return 2;
}

void take_iptfs(struct reading *r, const struct statement *s)
{
    struct config_iptfs *iptfs = &carriage_of(r)->iptfs;

    if (is_word(&s->words[1], "off")) {
        if (s->count > 2) {
            COMPLAIN(r, s->words[2].place, NULL, "'off' stands alone");
        }
        return;
    }
    for (size_t i = 1; i < s->count;) {
        size_t taken = take_iptfs_part(r, s, i);
        if (taken == 0) {
            return;
        }
        i += taken;
    }
    if (iptfs->bits_per_second == 0) {
        COMPLAIN(r, s->words[0].place, "such as: iptfs rate 10Mb/s",
                 "'iptfs' needs its rate: so much is sent whether there is traffic or not");
        return;
    }
    iptfs->enabled = true;
}

void write_iptfs(const struct schema_word *w, const struct shown *shown)
{
    const struct config_iptfs *iptfs = &carriage_shown(shown)->iptfs;
    char rate[VALUE_TEXT_BYTES];
    char size[VALUE_TEXT_BYTES] = "";

    if (!iptfs->enabled) {
        if (shown->mode != SHOW_SAID) {
            shown_line(shown, w->word, "off");
        }
        return;
    }
    if (iptfs->packet_bytes != 0) {
        snprintf(size, sizeof(size), " size %u", (unsigned)iptfs->packet_bytes);
    }
    shown_line(shown, w->word, "rate %s%s%s", value_rate_text(iptfs->bits_per_second, rate), size,
               iptfs->congestion_control ? " congestion-control" : "");
}

/* ---- what cannot go together ---- */

/* In transport mode the packet keeps its own header, and its contents have no length of their own.
 */
static void settle_transport(struct reading *r)
{
    struct config_carriage *c = carriage_of(r);
    static const char advice[] = "leave it out, or write: mode tunnel";

    if (c->df != CONFIG_DF_SET) {
        COMPLAIN(r, said_at(r, "df"), advice,
                 "transport mode has no outer header: the bit stays as the host set it");
    }
    if (c->dscp != CONFIG_DSCP_COPY) {
        COMPLAIN(r, said_at(r, "dscp"), advice,
                 "transport mode has no outer header: the field stays as the host set it");
    }
    if (c->tfc_bytes != 0) {
        COMPLAIN(r, said_at(r, "tfc"), advice,
                 "padding is found again by the length in an inner header (RFC 4303 2.7), which "
                 "transport mode has not");
    }
    if (c->iptfs.enabled) {
        COMPLAIN(r, said_at(r, "iptfs"), advice,
                 "IP-TFS carries whole packets: it is for tunnel mode (RFC 9347)");
    }
    /* RFC 4303 3.3.4: transport mode is for whole packets, so what is too large is cut behind it.
     */
    if (said_at(r, "fragment").line != 0 && c->fragment == CONFIG_FRAGMENT_BEFORE) {
        COMPLAIN(r, said_at(r, "fragment"), advice,
                 "transport mode protects whole packets, no fragments (RFC 4303 3.3.4)");
    }
    c->fragment = CONFIG_FRAGMENT_AFTER;
}

void carriage_settle(struct reading *r)
{
    const struct config_carriage *c = carriage_of(r);
    bool esp = builds_site(r) ? said_at(r, "esp").line != 0 || said_at(r, "ah").line == 0
                              : r->sas.esp[0].place.line != 0 || r->sas.esp[1].place.line != 0;
    bool tfc = c->tfc_bytes != 0 || c->tfc_dummy_ms != 0;

    assert(r->scope != SCOPE_GATEWAY);
    if (c->mode == CONFIG_TRANSPORT) {
        settle_transport(r);
    }
    if (builds_site(r) && r->site.per_worker_sas != CONFIG_PER_WORKER_OFF &&
        r->site.per_worker_sas != CONFIG_PER_WORKER_AUTO &&
        (c->iptfs.enabled || r->site.each != CONFIG_EACH_OFF)) {
        COMPLAIN(r, said_at(r, "per-worker-sas"), "leave it out",
                 c->iptfs.enabled ? "with 'iptfs' one SA sends all, at one rate"
                                  : "with 'each' there are many SAs already");
    }
    if (c->iptfs.enabled && tfc) {
        COMPLAIN(r, said_at(r, "tfc"), "leave it out",
                 "with 'iptfs' all packets have one size and one rate already");
    }
    if (!esp && (tfc || c->iptfs.enabled)) {
        COMPLAIN(r, said_at(r, tfc ? "tfc" : "iptfs"), "leave it out, or 'ah'",
                 "AH hides nothing: this is a matter of ESP");
    }
}

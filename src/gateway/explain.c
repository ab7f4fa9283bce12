/* Why a site is not up: the steps of a connection in their order, then what is likely and what to
 * do. */
#include "gateway/inside.h"

#include <assert.h>
#include <string.h>

#define QUIET_MS 30000
#define NARROW_MTU_BYTES 1280 /* RFC 8200 5: what every line of IPv6 takes */

const char *status_check_result_name(enum status_check_result result)
{
    switch (result) {
    case STATUS_CHECK_OK:
        return "ok";
    case STATUS_CHECK_FAIL:
        return "FAIL";
    case STATUS_CHECK_NOT_REACHED:
        return "-";
    }
    return "-";
}

/* The first step that is not done. */
static enum reason_check first_open(const struct site *site, const struct status_site *s)
{
    enum reason_check check = reason_get(s->reason)->check;

    if (s->state == STATUS_UP) {
        return s->in_packets > 0 && check != REASON_CHECK_DATA ? REASON_CHECK_COUNT
                                                               : REASON_CHECK_DATA;
    }
    if (check != REASON_CHECK_NONE) {
        return check;
    }
    return s->has_ike && s->ike.established ? REASON_CHECK_NETWORKS : site->reached;
}

static void say_name(const struct site *site, struct text *out)
{
    const struct config_site *c = site->config;
    char peer[ADDRESS_TEXT_BYTES];

    if (!site_can_dial(site)) {
        text_add(out, "the peer calls us: its address is not configured");
        return;
    }
    const struct config_host *host = &c->peers[site->host < c->peer_count ? site->host : 0];

    if (host->any || host->address.family != FAMILY_NONE ||
        site->last_peer.address.family == FAMILY_NONE) {
        text_add(out, "the peer is configured by its address");
        return;
    }
    text_addf(out, "%s is %s", host->text, address_format(&site->last_peer.address, peer));
}

static void say_reach(const struct site *site, const struct status_site *s, struct text *out)
{
    bool by_peer = site->trouble != NULL && site->trouble->by_peer && s->state != STATUS_UP;

    if (by_peer || (s->has_ike && !s->ike.initiator)) {
        text_add(out, "the messages of the peer arrive");
    } else if (site->answer_ms > 0) {
        text_addf(out, "answers in %u ms", site->answer_ms);
    } else {
        text_add(out, "answers");
    }
    if (s->has_ike && s->ike.established) {
        text_add(out, s->ike.nat_local && s->ike.nat_peer ? ", both sides are behind a NAT"
                      : s->ike.nat_local                  ? ", we are behind a NAT"
                      : s->ike.nat_peer                   ? ", the peer is behind a NAT"
                                                          : ", no NAT between");
        if (!s->ike.nat_local && !s->ike.nat_peer &&
            (s->ike.udp_asked_by_us || s->ike.udp_asked_by_peer)) {
            text_addf(out, ", encapsulated because %s for it",
                      s->ike.udp_asked_by_us ? "we ask" : "the peer asks");
        }
    }
}

static void say_networks(const struct gateway *g, const struct site *site, struct text *out)
{
    struct status_child child;

    if (!gateway_child_at(g, site->index, 0, &child)) {
        text_add(out, "agreed");
        return;
    }
    text_add(out, "agreed: ");
    for (size_t i = 0; i < child.local_count; i++) {
        char words[SELECTOR_TEXT_BYTES];

        text_addf(out, "%s%s", i > 0 ? ", " : "",
                  selector_format(&child.local_selectors[i], words));
    }
    text_add(out, " === ");
    for (size_t i = 0; i < child.remote_count; i++) {
        char words[SELECTOR_TEXT_BYTES];

        text_addf(out, "%s%s", i > 0 ? ", " : "",
                  selector_format(&child.remote_selectors[i], words));
    }
    if (child.narrowed) {
        text_addf(out, ", which is only a part of ours (%s)", reason_code(REASON_NARROWED));
        persona_say_pairs(site, out);
    }
}

/* Remarks, no troubles: flows may be one-way by nature, and lines may be narrow. */
static void say_data(const struct gateway *g, const struct site *site, const struct status_site *s,
                     struct text *out)
{
    struct status_child child;
    uint64_t in_ms = s->last_in_ms > site->up_ms ? s->last_in_ms : site->up_ms;

    text_addf(out, "%llu packets came in, %llu went out", (unsigned long long)s->in_packets,
              (unsigned long long)s->out_packets);
    if (site->used != NULL && s->last_out_ms > in_ms + QUIET_MS &&
        site->used->ike->heard_ms > in_ms) {
        text_addf(out,
                  "; none came in for the last %llu s of sending, though the peer answers (%s)",
                  (unsigned long long)(s->last_out_ms - in_ms) / 1000, reason_code(REASON_ONE_WAY));
    }
    if (gateway_child_at(g, site->index, 0, &child) && child.counters.outer_mtu > 0 &&
        child.counters.outer_mtu < NARROW_MTU_BYTES) {
        text_addf(out, "; the path takes %u octets only, so %u inside (%s)",
                  (unsigned)child.counters.outer_mtu, (unsigned)child.counters.inner_mtu,
                  reason_code(REASON_MTU));
    }
}

static void say_ok(const struct gateway *g, const struct site *site, const struct status_site *s,
                   enum reason_check check, struct text *out)
{
    bool established = s->has_ike && s->ike.established;

    switch (check) {
    case REASON_CHECK_NAME:
        say_name(site, out);
        return;
    case REASON_CHECK_REACH:
        say_reach(site, s, out);
        return;
    case REASON_CHECK_OFFER:
        /* IKEv1's children may outlive what was agreed for IKE. */
        established = established && s->ike.suite[0] != '\0';
        text_addf(out, "agreed%s%s", established ? ": " : "", established ? s->ike.suite : "");
        return;
    case REASON_CHECK_IDENTITY:
        if (established && s->ike.unauthenticated) {
            text_add(out, "nobody proved anything: the site says unauthenticated");
        } else if (established) {
            text_addf(out, "the peer proved to be %s", s->ike.peer_identity);
            if (s->ike.ppk_id != NULL) {
                text_addf(out, s->ike.ppk ? ", with the PPK %s" : ", and has not the PPK %s",
                          s->ike.ppk_id);
            }
        } else {
            text_add(out, "both sides proved who they are");
        }
        return;
    case REASON_CHECK_NETWORKS:
        say_networks(g, site, out);
        return;
    case REASON_CHECK_DATA:
        say_data(g, site, s, out);
        return;
    case REASON_CHECK_COUNT:
        return;
    }
}

static void fill_checks(const struct gateway *g, const struct site *site,
                        struct status_explanation *out)
{
    enum reason_check open = first_open(site, &out->site);
    bool fails = reason_get(out->site.reason)->check == open;

    for (size_t i = 0; i < REASON_CHECK_COUNT; i++) {
        struct status_check *check = &out->checks[i];
        struct text sentence = text_over(check->sentence, sizeof(check->sentence));

        check->check = (enum reason_check)i;
        if (i < (size_t)open) {
            check->result = STATUS_CHECK_OK;
            say_ok(g, site, &out->site, check->check, &sentence);
        } else if (i == (size_t)open && fails) {
            check->result = STATUS_CHECK_FAIL;
            text_add(&sentence, out->site.sentence);
        } else {
            check->result = STATUS_CHECK_NOT_REACHED;
            text_add(&sentence,
                     out->site.state == STATUS_UP ? "no packet has come in yet" : "not reached");
        }
    }
}

static size_t fill_lines(const char *const lines[REASON_LINES_MAX],
                         const struct reason_words *words,
                         char out[REASON_LINES_MAX][STATUS_SENTENCE_BYTES])
{
    size_t count = 0;

    for (size_t i = 0; i < REASON_LINES_MAX && lines[i] != NULL; i++) {
        if (reason_line_applies(lines[i], words)) {
            struct text line = text_over(out[count++], STATUS_SENTENCE_BYTES);

            reason_fill(lines[i], words, &line);
        }
    }
    return count;
}

static void fill_evidence(const struct trouble *t, struct text *out)
{
    const char *exchange = t->exchange == 0 ? NULL : machine_exchange_name(t->exchange);
    const char *notify = t->notify == 0 ? NULL : machine_notify_name(t->exchange, t->notify);

    text_add(out, exchange == NULL ? "" : exchange);
    if (t->notify != 0) {
        text_addf(out, "%sN(%u) %s", exchange == NULL ? "" : ", ", t->notify,
                  notify == NULL ? "" : notify);
    }
    if (t->detail[0] != '\0') {
        text_addf(out, "%s%s", out->length > 0 ? ": " : "", t->detail);
    }
}

static void fill_headline(struct status_explanation *out)
{
    struct text headline = text_over(out->headline, sizeof(out->headline));

    if (out->site.reason == REASON_STARTING) {
        text_addf(&headline, "%s %s", out->site.name, out->site.sentence);
        return;
    }
    text_addf(&headline, "%s is %s", out->site.name, status_state_name(out->site.state));
    if (out->site.reason != REASON_NONE) {
        text_addf(&headline, ": %s", out->site.sentence);
    }
}

/* Nothing is negotiated: only the keys can be wrong, and the data that does not come. */
static void explain_manual(const struct manual *m, struct status_explanation *out)
{
    const struct reason_entry *entry = reason_get(out->site.reason);
    struct text explanation = text_over(out->explanation, sizeof(out->explanation));
    bool up = out->site.state == STATUS_UP;
    char peer[ENDPOINT_TEXT_BYTES];
    struct reason_words words;

    manual_words(m, peer, &words);
    fill_headline(out);
    for (size_t i = 0; i < REASON_CHECK_COUNT; i++) {
        struct status_check *check = &out->checks[i];
        struct text sentence = text_over(check->sentence, sizeof(check->sentence));

        check->check = (enum reason_check)i;
        check->result = STATUS_CHECK_OK;
        if (check->check == REASON_CHECK_IDENTITY && !up) {
            check->result = STATUS_CHECK_FAIL;
            text_add(&sentence, out->site.sentence);
        } else if (check->check > REASON_CHECK_IDENTITY && out->site.in_packets == 0) {
            check->result = STATUS_CHECK_NOT_REACHED;
            text_add(&sentence, up ? "no packet has come in yet" : "not reached");
        } else if (check->check == REASON_CHECK_DATA) {
            text_addf(&sentence, "%llu packets have come in",
                      (unsigned long long)out->site.in_packets);
        } else {
            text_add(&sentence, "manual keys: nothing is negotiated");
        }
    }
    reason_fill(entry->explanation, &words, &explanation);
    out->cause_count = fill_lines(entry->causes, &words, out->causes);
    out->step_count = fill_lines(entry->steps, &words, out->steps);
}

static void fill_preset(const struct config_site *site, struct status_explanation *out)
{
    struct text line = text_over(out->preset, sizeof(out->preset));
    char words[STATUS_SENTENCE_BYTES - 96];

    if (site->like != NULL) {
        text_addf(&line, "like %s (%s)", site->like, config_preset_product(site->like));
        if (config_preset_text(site, words, sizeof(words)) > 0) {
            text_addf(&line, " gave: %s", words);
        }
    }
}

bool gateway_explain(const struct gateway *g, const char *name, uint64_t now_ms,
                     struct status_explanation *out)
{
    size_t index;

    memset(out, 0, sizeof(*out));
    if (!gateway_site_index(g, name, &index) || !gateway_site_at(g, index, now_ms, &out->site)) {
        return false;
    }
    if (out->site.manual) {
        explain_manual(manual_find(g, name), out);
        return true;
    }
    const struct site *site = status_site_of(g, index);

    if (site == NULL) {
        return false;
    }
    const struct reason_entry *entry = reason_get(out->site.reason);
    struct text explanation = text_over(out->explanation, sizeof(out->explanation));
    struct text evidence = text_over(out->evidence, sizeof(out->evidence));
    char peer[ENDPOINT_TEXT_BYTES];
    struct reason_words words;

    status_words_of(site, out->site.reason, peer, &words);
    fill_headline(out);
    fill_preset(site->config, out);
    fill_checks(g, site, out);
    reason_fill(entry->explanation, &words, &explanation);
    out->cause_count = fill_lines(entry->causes, &words, out->causes);
    out->step_count = fill_lines(entry->steps, &words, out->steps);
    if (site->trouble != NULL && site->trouble->reason == out->site.reason) {
        memcpy(out->ours, site->trouble->ours, sizeof(out->ours));
        memcpy(out->theirs, site->trouble->theirs, sizeof(out->theirs));
        fill_evidence(site->trouble, &evidence);
        differences_find(out->site.reason, out);
    }
    return true;
}

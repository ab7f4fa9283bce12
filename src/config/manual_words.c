/*
 * Decides what a manual block means: a tunnel whose SPIs, algorithms and keys were chosen by the
 * administrators of both sides (RFC 4301 4.5.1), and what such keys must not be used for.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "config/key_material.h"
#include "config/schema.h"

enum { OUT, IN };

/* ---- the block ---- */

void manual_begin(struct reading *r, const struct statement *s)
{
    const struct word *name = &s->words[1];
    struct complaint c;

    memset(r->said[SCOPE_MANUAL], 0, sizeof(r->said[SCOPE_MANUAL]));
    memset(r->tfc_said, 0, sizeof(r->tfc_said));
    r->manual = (struct config_manual){.place = name->place};
    r->manual_note = (struct manual_notes){0};
    r->sas = (struct said_sas){0};
    r->legacy = (struct said_words){0};
    schema_set_defaults_of_manual(&r->manual);
    if (!value_name(name->text, "manual block", &c)) {
        COMPLAIN(r, name->place, c.advice, "%s", c.why);
    }
    r->manual.name = arena_text(r->arena, name->text);
    r->scope = SCOPE_MANUAL;
}

/* ---- outer, inner ---- */

void take_outer(struct reading *r, const struct statement *s)
{
    struct address *into[] = {&r->manual.local, &r->manual.peer};

    for (size_t i = 0; i < 2; i++) {
        const struct word *word = &s->words[1 + i];
        struct complaint c;
        if (!value_address(word->text, into[i], &c)) {
            COMPLAIN(r, word->place, c.advice, "%s", c.why);
            return;
        }
        if (address_is_any(into[i]) || address_is_multicast(into[i])) {
            COMPLAIN(r, word->place, NULL, "this is not the address of one gateway");
            return;
        }
    }
    r->manual_note.outer = s->words[1].place;
    if (r->manual.local.family != r->manual.peer.family) {
        COMPLAIN(r, s->words[2].place, NULL, "one address is IPv4 and the other is IPv6");
    } else if (address_equal(&r->manual.local, &r->manual.peer)) {
        COMPLAIN(r, s->words[2].place, "ours stands first, then the peer's",
                 "both sides have the same address");
    }
}

void write_outer(const struct schema_word *w, const struct shown *shown)
{
    char local[ADDRESS_TEXT_BYTES];
    char peer[ADDRESS_TEXT_BYTES];

    shown_line(shown, w->word, "%s %s", address_format(&shown->manual->local, local),
               address_format(&shown->manual->peer, peer));
}

static bool holds(const struct said_networks *said, const struct word *word)
{
    struct network network;

    for (size_t i = 0; network_parse(word->text, &network) && i < said->count; i++) {
        if (network_equal(&said->list[i].network, &network)) {
            return true;
        }
    }
    return false;
}

/* LAN REMOTE, or lists with 'to' between; what another line says already is not said twice. */
void take_inner(struct reading *r, const struct statement *s)
{
    struct said_networks *sides[] = {&r->manual_note.lans, &r->manual_note.networks};
    size_t middle = 0;

    for (size_t i = 1; i < s->count; i++) {
        if (is_word(&s->words[i], "to")) {
            if (middle != 0) {
                COMPLAIN(r, s->words[i].place, NULL, "'to' stands once, between both sides");
                return;
            }
            middle = i;
        }
    }
    if (middle == 0 && s->count != 3) {
        COMPLAIN(r, s->words[1].place, "such as: inner 10.1.0.0/16 10.2.0.0/16 to 10.4.0.0/16",
                 "our network and the peer's belong here, or lists with 'to' between");
        return;
    }
    if (middle == 1 || middle + 1 == s->count) {
        COMPLAIN(r, s->words[middle].place, "such as: inner 10.1.0.0/16 to 10.4.0.0/16",
                 "networks belong on both sides of 'to'");
        return;
    }
    for (size_t i = 1; i < s->count; i++) {
        bool peers = middle == 0 ? i == 2 : i > middle;
        if (i != middle && !holds(sides[peers], &s->words[i]) &&
            !take_one_network(r, &s->words[i], sides[peers])) {
            return;
        }
    }
}

static void write_networks(struct sheet *out, const struct network *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[NETWORK_TEXT_BYTES];
        sheet_addf(out, " %s", network_format(&list[i], text));
    }
}

/* Each line has at most as many words as a statement may. */
void write_inner(const struct schema_word *w, const struct shown *shown)
{
    const struct config_manual *m = shown->manual;
    size_t most = STATEMENT_WORDS_MAX / 4;
    size_t longer = m->lan_count > m->network_count ? m->lan_count : m->network_count;

    for (size_t i = 0; i < longer; i += most) {
        size_t lan = i < m->lan_count ? i : 0;
        size_t network = i < m->network_count ? i : 0;
        size_t lans = m->lan_count - lan;
        size_t networks = m->network_count - network;
        sheet_add(shown->out, w->word);
        write_networks(shown->out, m->lans + lan, lans < most ? lans : most);
        sheet_add(shown->out, " to");
        write_networks(shown->out, m->networks + network, networks < most ? networks : most);
        sheet_add(shown->out, "\n");
    }
}

/* ---- esp, ah ---- */

/*
 * Ciphers that never may meet the same counter twice under one key: with a key that stays the same
 * over a restart, they would. NULL for those that may be used.
 */
static const char *counter_reason(const struct transform *t)
{
    const struct algorithm *a = algorithm_find(t->type, t->id);
    bool gmac = strstr(a->word, "gmac") != NULL;

    if (t->type == TRANSFORM_INTEGRITY) {
        return gmac ? "RFC 4543 2" : NULL;
    }
    switch (t->id) {
    case ENCRYPTION_AES_CTR:
        return "RFC 3686 2.1";
    case ENCRYPTION_AES_CCM_8:
    case ENCRYPTION_AES_CCM_12:
    case ENCRYPTION_AES_CCM_16:
        return "RFC 4309 2";
    case ENCRYPTION_AES_GCM_8:
    case ENCRYPTION_AES_GCM_12:
    case ENCRYPTION_AES_GCM_16:
        return "RFC 4106 2";
    case ENCRYPTION_NULL_AES_GMAC:
        return "RFC 4543 2";
    case ENCRYPTION_CHACHA20_POLY1305:
        return "RFC 7634 2";
    default:
        /* Further ciphers of the catalog: whoever is its own integrity counts packets. */
        return a->aead ? "RFC 8221 3" : NULL;
    }
}

/* "hmac-md5" is what some say for "md5". */
static struct slice plain_word(struct slice word)
{
    static const char prefix[] = "hmac-";
    size_t length = sizeof(prefix) - 1;

    if (word.length > length && memcmp(word.data, prefix, length) == 0) {
        return (struct slice){word.data + length, word.length - length};
    }
    return word;
}

static bool take_algorithm(struct reading *r, uint8_t type, const struct word *word,
                           struct transform *out)
{
    struct slice text = type == TRANSFORM_INTEGRITY ? plain_word(word->text) : word->text;
    char shown[VALUE_SHOWN_BYTES + 4];
    char advice[96];

    if (!transform_by_word(type, text, out)) {
        complain_unknown_algorithm(r, type, text, word->place, false);
        return false;
    }
    const char *reason = counter_reason(out);

    if (reason == NULL) {
        return true;
    }
    snprintf(advice, sizeof(advice), "did you mean %s ?",
             type == TRANSFORM_INTEGRITY ? "sha256" : "aes256 with auth sha256");
    COMPLAIN(r, word->place, advice,
             "%s cannot have a manual key: after a restart its counter would begin again with the "
             "same key, which opens the traffic (%s)",
             value_shown(word->text, shown), reason);
    return false;
}

/* The octets in the secret, when they may be looked at. */
static void check_key(struct reading *r, const struct transform *t,
                      const struct config_secret_name *key)
{
    struct secret text = {0};
    struct secret octets = {0};
    char why[KEY_MATERIAL_WHY_BYTES] = "";

    if (r->loader->secret_text == NULL) {
        return;
    }
    if (!r->loader->secret_text(r->loader->context, key->name, &text, why, sizeof(why))) {
        COMPLAIN(r, key->place, NULL, "%s", why[0] == '\0' ? "this secret cannot be read" : why);
    } else if (!key_material_take(t, secret_slice(&text), &octets, why)) {
        COMPLAIN(r, key->place, "a key is written as 0x and hexadecimal digits, or in base64",
                 "@%s %s", key->name, why);
    }
    secret_wipe(&text);
    secret_wipe(&octets);
}

static bool take_sa_key(struct reading *r, const struct statement *s, size_t at,
                        const struct transform *t, struct config_secret_name *key)
{
    const struct word *name = &s->words[at];
    char shown[VALUE_SHOWN_BYTES + 4];

    if (at + 1 >= s->count || is_word(name + 1, "auth") || is_word(name + 1, "cipher") ||
        is_word(name + 1, "spi")) {
        COMPLAIN(r, name->place, "its key stands behind it: @NAME", "%s needs a key",
                 value_shown(name->text, shown));
        return false;
    }
    if (take_secret_name(r, name + 1, key)) {
        check_key(r, t, key);
    }
    return key->name != NULL;
}

/* One of 'spi', 'cipher' and 'auth' with what stands behind; how many words that is, 0 when told.
 */
static size_t take_sa_part(struct reading *r, const struct statement *s, size_t at,
                           struct said_sa *sa)
{
    const struct word *word = &s->words[at];
    bool ah = is_word(&s->words[0], "ah");
    bool spi = is_word(word, "spi");
    bool cipher = is_word(word, "cipher");
    char shown[VALUE_SHOWN_BYTES + 4];
    struct complaint c;

    value_shown(word->text, shown);
    if (!spi && !cipher && !is_word(word, "auth")) {
        COMPLAIN(r, word->place,
                 ah ? "such as: ah out spi 0x2001 auth sha256 @NAME"
                    : "such as: esp out spi 0x1001 cipher aes256 @NAME auth sha256 @NAME",
                 "'%s' is none of spi, cipher and auth", shown);
        return 0;
    }
    if (spi ? sa->spi != 0 : cipher ? sa->has_cipher : sa->has_auth) {
        COMPLAIN(r, word->place, NULL, "'%s' is said twice", shown);
        return 0;
    }
    if (cipher && ah) {
        COMPLAIN(r, word->place, "leave it out, or write: esp",
                 "AH has no cipher: it hides nothing");
        return 0;
    }
    if (at + 1 == s->count) {
        COMPLAIN(r, word->place, NULL, "'%s' needs its value behind it", shown);
        return 0;
    }
    if (spi) {
        sa->spi_place = word[1].place;
        if (!value_spi(word[1].text, &sa->spi, &c)) {
            COMPLAIN(r, word[1].place, c.advice, "%s", c.why);
            return 0;
        }
        return 2;
    }
    struct transform *t = cipher ? &sa->cipher : &sa->auth;

    *(cipher ? &sa->cipher_place : &sa->auth_place) = word[1].place;
    if (!take_algorithm(r, cipher ? TRANSFORM_ENCRYPTION : TRANSFORM_INTEGRITY, &word[1], t)) {
        return 0;
    }
    *(cipher ? &sa->has_cipher : &sa->has_auth) = true;
    if (key_material_bytes(t) == 0) {
        return 2;
    }
    return take_sa_key(r, s, at + 1, t, cipher ? &sa->cipher_key : &sa->auth_key) ? 3 : 0;
}

void take_static_sa(struct reading *r, const struct statement *s)
{
    bool ah = is_word(&s->words[0], "ah");
    bool out = is_word(&s->words[1], "out");
    size_t errors = r->diagnoses.errors;
    char shown[VALUE_SHOWN_BYTES + 4];

    if (!out && !is_word(&s->words[1], "in")) {
        COMPLAIN(r, s->words[1].place, "such as: esp out spi 0x1001 ...",
                 "'%s' is neither out nor in: each direction has an SA of its own",
                 value_shown(s->words[1].text, shown));
        return;
    }
    struct said_sa *sa = ah ? &r->sas.ah[out ? OUT : IN] : &r->sas.esp[out ? OUT : IN];

    if (sa->place.line != 0) {
        COMPLAIN(r, s->words[1].place, NULL, "'%s %s' is said twice, first on line %u",
                 ah ? "ah" : "esp", out ? "out" : "in", (unsigned)sa->place.line);
        return;
    }
    sa->place = s->words[0].place;
    for (size_t i = 2; i < s->count;) {
        size_t taken = take_sa_part(r, s, i, sa);
        if (taken == 0) {
            return;
        }
        i += taken;
    }
    if (errors != r->diagnoses.errors) {
        return;
    }
    if (sa->spi == 0) {
        COMPLAIN(r, sa->place, "such as: spi 0x1001", "this SA has no SPI");
    }
    if (!ah && !sa->has_cipher) {
        COMPLAIN(r, sa->place, "such as: cipher aes256 @NAME", "this SA has no cipher");
    }
    if (ah && !sa->has_auth) {
        COMPLAIN(r, sa->place, "such as: auth sha256 @NAME", "this SA has no integrity algorithm");
    }
}

static void write_part(struct sheet *out, const char *word, const struct transform *t,
                       const struct config_secret_name *key)
{
    char text[32];

    transform_word(t, text, sizeof(text));
    sheet_addf(out, " %s %s", word, text);
    if (key->name != NULL) {
        sheet_addf(out, " @%s", key->name);
    }
}

static void write_sa(const struct schema_word *w, struct sheet *out,
                     const struct config_static_sa *sa, bool outbound)
{
    const struct transform cipher = {TRANSFORM_ENCRYPTION, sa->encryption, sa->key_bits};
    const struct transform auth = {TRANSFORM_INTEGRITY, sa->integrity, 0};

    sheet_addf(out, "%s %s spi 0x%x", w->word, outbound ? "out" : "in",
               (unsigned)(outbound ? sa->spi_out : sa->spi_in));
    if (sa->encryption != ENCRYPTION_NONE) {
        write_part(out, "cipher", &cipher, outbound ? &sa->cipher_out : &sa->cipher_in);
    }
    if (sa->integrity != INTEGRITY_NONE) {
        write_part(out, "auth", &auth, outbound ? &sa->auth_out : &sa->auth_in);
    }
    sheet_add(out, "\n");
}

void write_static_sa(const struct schema_word *w, const struct shown *shown)
{
    const struct config_static_sa *sa =
        strcmp(w->word, "ah") == 0 ? &shown->manual->ah : &shown->manual->esp;

    if (sa->present) {
        write_sa(w, shown->out, sa, true);
        write_sa(w, shown->out, sa, false);
    }
}

/* ---- encapsulate ---- */

void take_udp_ports(struct reading *r, const struct statement *s)
{
    uint16_t *into[] = {&r->manual.local_port, &r->manual.peer_port};

    r->manual_note.encapsulate = s->words[1].place;
    if (is_word(&s->words[1], "off")) {
        if (s->count > 2) {
            COMPLAIN(r, s->words[2].place, NULL, "'off' stands alone");
        }
        return;
    }
    for (size_t i = 1; i < s->count; i++) {
        if (!take_bytes(r, &s->words[i], 1, into[i - 1])) {
            return;
        }
    }
    if (s->count == 2) {
        r->manual.peer_port = r->manual.local_port;
    }
}

void write_udp_ports(const struct schema_word *w, const struct shown *shown)
{
    const struct config_manual *m = shown->manual;

    if (m->local_port != 0) {
        shown_line(shown, w->word, "%u %u", (unsigned)m->local_port, (unsigned)m->peer_port);
    } else if (shown->mode != SHOW_SAID) {
        shown_line(shown, w->word, "off");
    }
}

/* ---- the whole block ---- */

static bool same_transform(const struct transform *a, const struct transform *b)
{
    return a->id == b->id && a->key_bits == b->key_bits;
}

static void check_key_pair(struct reading *r, const struct config_secret_name *out,
                           const struct config_secret_name *in)
{
    if (out->name != NULL && in->name != NULL && strcmp(out->name, in->name) == 0) {
        WARN(r, in->place, "make another one for the other direction",
             "@%s is the key of both directions: a packet of ours that somebody sends back would "
             "be taken for the peer's",
             in->name);
    }
}

/* Both lines of one protocol become one value. */
static void join(struct reading *r, const char *word, const struct said_sa pair[2],
                 struct config_static_sa *sa)
{
    const struct said_sa *out = &pair[OUT];
    const struct said_sa *in = &pair[IN];
    char advice[64];

    if (out->place.line == 0 && in->place.line == 0) {
        return;
    }
    sa->present = true;
    if (out->place.line == 0 || in->place.line == 0) {
        bool no_in = in->place.line == 0;
        snprintf(advice, sizeof(advice), "write '%s %s' too", word, no_in ? "in" : "out");
        COMPLAIN(r, no_in ? out->place : in->place, advice, "the other direction is missing");
        return;
    }
    if (out->has_cipher && in->has_cipher && !same_transform(&out->cipher, &in->cipher)) {
        COMPLAIN(r, in->cipher_place, NULL,
                 "both directions have the same cipher; '%s out' has another one", word);
    }
    if ((out->has_auth && in->has_auth && !same_transform(&out->auth, &in->auth)) ||
        out->has_auth != in->has_auth) {
        COMPLAIN(r, in->has_auth ? in->auth_place : in->place, NULL,
                 "both directions have the same integrity algorithm; '%s out' has %s", word,
                 out->has_auth ? "another one" : "none");
    }
    check_key_pair(r, &out->cipher_key, &in->cipher_key);
    check_key_pair(r, &out->auth_key, &in->auth_key);
    sa->spi_out = out->spi;
    sa->spi_in = in->spi;
    sa->encryption = out->cipher.id;
    sa->key_bits = out->cipher.key_bits;
    sa->integrity = out->auth.id;
    sa->cipher_out = out->cipher_key;
    sa->cipher_in = in->cipher_key;
    sa->auth_out = out->auth_key;
    sa->auth_in = in->auth_key;
}

/* SECURITY: without integrity, whoever is on the way opens the traffic by asking (RFC 4303 1). */
static void check_integrity(struct reading *r)
{
    const struct said_sa *out = &r->sas.esp[OUT];

    if (out->place.line == 0 || !out->has_cipher || out->has_auth) {
        return;
    }
    if (out->cipher.id != ENCRYPTION_NULL) {
        COMPLAIN(r, out->place, "such as: auth sha256 @NAME",
                 "encryption without integrity is refused, also within AH: whoever changes packets "
                 "on the way can learn what is in them");
    } else {
        /* RFC 4303 3.2: they must not both be NULL, whatever goes around. */
        COMPLAIN(r, out->place, "such as: auth sha256 @NAME",
                 "ESP with neither cipher nor integrity protects nothing: give it 'auth', or leave "
                 "it out and let AH stand alone");
    }
}

static void check_algorithms(struct reading *r, const struct allowed *allowed)
{
    const struct said_sa *const all[] = {&r->sas.esp[OUT], &r->sas.esp[IN], &r->sas.ah[OUT],
                                         &r->sas.ah[IN]};
    /* One sentence for each algorithm, where it is said first. */
    uint16_t told_cipher = ENCRYPTION_NONE;
    uint16_t told_auth = INTEGRITY_NONE;
    char word[32];

    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        const struct said_sa *sa = all[i];
        if (sa->has_cipher && sa->cipher.id != told_cipher) {
            transform_word(&sa->cipher, word, sizeof(word));
            legacy_check(r, allowed, algorithm_find(TRANSFORM_ENCRYPTION, sa->cipher.id),
                         slice_of_text(word), sa->cipher_place);
            told_cipher = sa->cipher.id;
        }
        if (sa->has_auth && sa->auth.id != told_auth) {
            transform_word(&sa->auth, word, sizeof(word));
            legacy_check(r, allowed, algorithm_find(TRANSFORM_INTEGRITY, sa->auth.id),
                         slice_of_text(word), sa->auth_place);
            told_auth = sa->auth.id;
        }
    }
}

static void check_present(struct reading *r, const struct allowed *allowed)
{
    const struct config_manual *m = &r->manual;
    bool transport = m->carriage.mode == CONFIG_TRANSPORT;

    if (!allowed->static_keys) {
        COMPLAIN(r, m->place, "write: legacy static-keys",
                 "manual keys need the word 'legacy': nobody renews them, and whoever learns one "
                 "reads all traffic of the past and of the future");
    }
    if (said_at(r, "outer").line == 0) {
        COMPLAIN(r, m->place, "such as: outer 203.0.113.1 198.51.100.9",
                 "manual block %s has no outer addresses", m->name);
    }
    if (said_at(r, "inner").line == 0 && !transport) {
        COMPLAIN(r, m->place, "such as: inner 10.1.0.0/16 10.4.0.0/16; or: mode transport",
                 "manual block %s has no networks", m->name);
    } else if (said_at(r, "inner").line != 0 && transport) {
        COMPLAIN(r, said_at(r, "inner"), "leave it out, or write: mode tunnel",
                 "transport mode is between the two hosts: a network is none");
    }
    if (!m->esp.present && !m->ah.present) {
        COMPLAIN(r, m->place, "write 'esp out' and 'esp in', or 'ah out' and 'ah in'",
                 "manual block %s has neither esp nor ah", m->name);
    }
}

static void check_block(struct reading *r)
{
    const struct config_manual *m = &r->manual;

    /* RFC 3715 2.1 */
    if (m->local_port != 0 && m->ah.present) {
        COMPLAIN(r, said_at(r, "encapsulate"), "leave out 'ah' or 'encapsulate'",
                 "AH cannot travel in UDP: it protects the addresses, which a NAT changes");
    }
    if (m->ah_align != CONFIG_AH_ALIGN_32 && (!m->ah.present || m->local.family != FAMILY_IPV4)) {
        COMPLAIN(r, said_at(r, "ah-align"), "leave it out",
                 m->ah.present ? "AH over IPv6 is a multiple of 64 bits always (RFC 4302 2.6)"
                               : "this block has no AH");
    }
    if (m->esn) {
        WARN(r, said_at(r, "esn"), NULL,
             "the upper half of a number is not sent: when one side restarts, it must be restarted "
             "on the other too");
    }
    if (m->replay_window != 0) {
        WARN(r, said_at(r, "replay-window"), NULL,
             "when the peer restarts, its numbers begin again and its packets are taken for "
             "repeated ones until we restart too");
    }
}

static bool grow_manuals(struct reading *r)
{
    if (r->manual_count < r->manual_capacity) {
        return true;
    }
    struct config_manual *manuals =
        arena_grow(r->notes, r->manuals, r->manual_count, &r->manual_capacity, sizeof(*manuals));
    struct manual_notes *notes = arena_grow(r->notes, r->manual_notes, r->manual_count,
                                            &r->manual_notes_capacity, sizeof(*notes));

    if (manuals == NULL || notes == NULL) {
        return false;
    }
    r->manuals = manuals;
    r->manual_notes = notes;
    return true;
}

void manual_end(struct reading *r)
{
    struct config_manual *m = &r->manual;
    struct allowed allowed = {0};

    m->legacy = legacy_words(r, &allowed);
    join(r, "esp", r->sas.esp, &m->esp);
    join(r, "ah", r->sas.ah, &m->ah);
    check_present(r, &allowed);
    check_integrity(r);
    check_algorithms(r, &allowed);
    carriage_settle(r);
    check_block(r);
    r->scope = SCOPE_GATEWAY;
    if (r->manual_count == MANUALS_MAX) {
        if (!r->told_too_many) {
            COMPLAIN(r, m->place, NULL, "more than %d manual blocks are too many", MANUALS_MAX);
        }
        r->told_too_many = true;
        return;
    }
    r->manual_note.esp_spi_in = r->sas.esp[IN].spi_place;
    r->manual_note.ah_spi_in = r->sas.ah[IN].spi_place;
    m->networks = networks_keep(r, &r->manual_note.networks);
    m->network_count = m->networks == NULL ? 0 : r->manual_note.networks.count;
    m->lans = networks_keep(r, &r->manual_note.lans);
    m->lan_count = m->lans == NULL ? 0 : r->manual_note.lans.count;
    if (grow_manuals(r)) {
        r->manual_notes[r->manual_count] = r->manual_note;
        r->manuals[r->manual_count++] = *m;
    }
}

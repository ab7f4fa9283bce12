/* Decides what the words of a site mean, all but its algorithms. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "config/presets.h"
#include "config/schema.h"
#include "crypto/certificate.h"
#include "crypto/revocation.h"

#define SECONDS(n) ((n)*UINT64_C(1000))
#define DAYS(n) ((n)*UINT64_C(86400000))
#define FRAGMENT_LEAST 576
#define IDENTITY_BYTES_MAX 255
#define PATH_BYTES_MAX 1000

bool is_word(const struct word *w, const char *word)
{
    return !w->quoted && slice_equal_text(w->text, word);
}

/* ---- the block ---- */

void site_begin_as(struct reading *r, const struct statement *s, enum schema_scope scope,
                   const char *kind)
{
    const struct word *name = &s->words[1];
    struct complaint c;

    memset(r->said[SCOPE_SITE], 0, sizeof(r->said[SCOPE_SITE]));
    memset(r->said[SCOPE_ACCESS], 0, sizeof(r->said[SCOPE_ACCESS]));
    memset(r->lifetime_said, 0, sizeof(r->lifetime_said));
    r->site = (struct config_site){.place = name->place};
    r->site_note = (struct site_notes){0};
    memset(r->tfc_said, 0, sizeof(r->tfc_said));
    r->ike = r->esp = r->ah = r->legacy = (struct said_words){0};
    r->version_said = r->exchange_said = (struct config_place){0};
    r->legacy_aggressive = false;
    r->legacy_methods = 0;
    r->peers = NULL;
    r->peer_capacity = 0;
    r->caller = (struct config_caller){0};
    r->access = (struct config_access){0};
    schema_set_defaults_of_site(&r->site);
    if (!value_name(name->text, kind, &c)) {
        COMPLAIN(r, name->place, c.advice, "%s", c.why);
    }
    r->site.name = arena_text(r->arena, name->text);
    r->scope = scope;
}

void site_begin(struct reading *r, const struct statement *s)
{
    site_begin_as(r, s, SCOPE_SITE, "site");
}

struct config_place said_at(const struct reading *r, const char *word)
{
    const struct schema_word *w = schema_find(r->scope, slice_of_text(word));

    if (w == NULL && r->scope == SCOPE_ACCESS) {
        w = schema_find(SCOPE_SITE, slice_of_text(word));
    }
    assert(w != NULL);
    return r->said[w->scope][schema_index(w)];
}

static bool was_said(const struct reading *r, const char *word)
{
    return said_at(r, word).line != 0;
}

static void check_present(struct reading *r)
{
    const struct config_site *site = &r->site;

    if (!was_said(r, "peer")) {
        COMPLAIN(r, site->place, "say whom to dial: peer HOST, or who may call: peer any",
                 "site %s has no peer", site->name);
    }
    if (!was_said(r, "network") && site->carriage.mode == CONFIG_TUNNEL &&
        !r->caller.asks_address) {
        COMPLAIN(r, site->place, "say what is behind it, such as: network 10.2.0.0/16",
                 "site %s has no network", site->name);
    }
    static const char *const certificate_words[] = {"certificate", "trust", "name", "crl", "ocsp"};

    for (size_t i = 0; was_said(r, "key") && i < ARRAY_LENGTH(certificate_words); i++) {
        if (was_said(r, certificate_words[i])) {
            COMPLAIN(r, said_at(r, certificate_words[i]), "take the line key out, or this one",
                     "site %s has a shared key, and no certificates are looked at", site->name);
            break;
        }
    }
}

static void check_lifetimes(struct reading *r)
{
    const struct config_site *site = &r->site;

    if (site->child_lifetime_ms > site->ike_lifetime_ms) {
        const struct config_place *at =
            r->lifetime_said[1].line != 0 ? &r->lifetime_said[1] : &r->lifetime_said[0];
        char ike[VALUE_TEXT_BYTES];
        char child[VALUE_TEXT_BYTES];
        WARN(r, *at, NULL,
             "the keys of the traffic (child %s) would live longer than the negotiation that "
             "renews them (ike %s)",
             value_duration_text(site->child_lifetime_ms, child),
             value_duration_text(site->ike_lifetime_ms, ike));
    }
}

const struct network *networks_keep(struct reading *r, const struct said_networks *said)
{
    struct network *list = NULL;

    if (said->count > 0) {
        list = arena_take(r->arena, said->count * sizeof(*list));
    }
    for (size_t i = 0; list != NULL && i < said->count; i++) {
        list[i] = said->list[i].network;
    }
    return list;
}

static bool grow_sites(struct reading *r)
{
    if (r->site_count < r->site_capacity) {
        return true;
    }
    struct config_site *sites =
        arena_grow(r->notes, r->sites, r->site_count, &r->site_capacity, sizeof(*sites));
    struct site_notes *notes =
        arena_grow(r->notes, r->site_notes, r->site_count, &r->notes_capacity, sizeof(*notes));

    if (sites == NULL || notes == NULL) {
        return false;
    }
    r->sites = sites;
    r->site_notes = notes;
    return true;
}

static void check_one_host(struct reading *r, const struct said_networks *said)
{
    for (size_t i = 0; i < said->count; i++) {
        const struct network *n = &said->list[i].network;
        if (i > 0 || n->prefix_bits != address_bytes(n->address.family) * 8) {
            COMPLAIN(r, said->list[i].place, "leave it out, or write: mode tunnel",
                     "transport mode is between two hosts: a network is none");
            return;
        }
    }
}

/* RFC 4301 4.1: in transport mode the ends of the traffic are the ends of the SA. */
static void check_transport(struct reading *r)
{
    const struct config_site *site = &r->site;

    if (site->peer_count > 0 && (site->peer_count > 1 || r->peers[0].any)) {
        COMPLAIN(r, r->site_note.peer, "name the one host: peer HOST; or write: mode tunnel",
                 "transport mode is with one host: its address is what the traffic is for");
    }
    check_one_host(r, &r->site_note.networks);
    check_one_host(r, &r->site_note.lans);
    if (site->each != CONFIG_EACH_OFF) {
        COMPLAIN(r, said_at(r, "each"), "leave it out, or write: mode tunnel",
                 "transport mode has one pair of hosts only: there is nothing to divide");
    }
}

/* RFC 3715 2.1: AH covers the addresses that a NAT changes, so nothing carries it through one. */
static void check_ah(struct reading *r)
{
    const struct config_site *site = &r->site;

    /* RFC 7296 3.3: a child is of one protocol; what IKEv1 called a bundle is no more. */
    if (site->protection == CONFIG_AH_AND_ESP && site->version != CONFIG_IKE_V1) {
        COMPLAIN(r, said_at(r, "esp"),
                 "leave out 'ah' or 'esp'; IKEv1 (ike v1) and manual keys can have both",
                 "IKEv2 agrees on AH or on ESP, not on one within the other");
    }
    if (site->protection != CONFIG_ESP && site->encapsulate == ENCAPSULATE_ALWAYS) {
        COMPLAIN(r, said_at(r, "encapsulate"), "leave out 'ah' or 'encapsulate'",
                 "AH cannot travel in UDP: it protects the addresses, which a NAT changes");
    }
}

/* The gateway's own networks may be said behind the site: they are looked at when all is read. */
static void check_children(struct reading *r)
{
    const struct config_site *site = &r->site;

    if (site->children != CHILDREN_PER_PAIR) {
        return;
    }
    if (site->carriage.mode == CONFIG_TRANSPORT || site->each != CONFIG_EACH_OFF ||
        site->only_both) {
        COMPLAIN(r, said_at(r, "children"), "leave it out",
                 "'children per-pair' divides networks: it cannot stand beside transport mode, "
                 "'each' and 'both'");
    }
}

static void check_callers_of_any(struct reading *r)
{
    struct config_site *site = &r->site;

    if (site->peer_count == 0 || !site->peers[0].any) {
        return;
    }
    if (!was_said(r, "start")) {
        site->start = START_WAIT;
    } else if (site->start != START_WAIT) {
        COMPLAIN(r, r->site_note.peer, "name the peer, or leave 'start' out",
                 "'peer any' can only wait, there is nobody to dial");
    }
    if (!site->identity_any && site->identity == NULL) {
        WARN(r, r->site_note.peer, "say who it must be: identity NAME; or: identity any",
             "whoever has the key of site %s is let in", site->name);
    }
}

void site_settle(struct reading *r)
{
    check_lifetimes(r);
    carriage_settle(r);
    r->site.peers = r->peers;
    site_take_proposals(r);
    site_check_version(r);
    check_authenticate(r);
    check_ah(r);
}

void site_keep(struct reading *r)
{
    struct config_site *site = &r->site;

    r->scope = SCOPE_GATEWAY;
    if (r->site_count == SITES_MAX) {
        if (!r->told_too_many) {
            COMPLAIN(r, site->place, NULL, "more than %d sites are too many", SITES_MAX);
        }
        r->told_too_many = true;
        return;
    }
    site->networks = networks_keep(r, &r->site_note.networks);
    site->network_count = site->networks == NULL ? 0 : r->site_note.networks.count;
    site->lans = networks_keep(r, &r->site_note.lans);
    site->lan_count = site->lans == NULL ? 0 : r->site_note.lans.count;
    if (grow_sites(r)) {
        r->site_notes[r->site_count] = r->site_note;
        r->sites[r->site_count++] = *site;
    }
}

void site_end(struct reading *r)
{
    struct config_site *site = &r->site;

    check_present(r);
    preset_apply(r);
    if (site->carriage.mode == CONFIG_TRANSPORT) {
        check_transport(r);
    }
    caller_settle(r);
    site_settle(r);
    check_callers_of_any(r);
    check_tcp(r);
    check_site_uplinks(r);
    r->uplinks[1] = NULL;
    check_unauthenticated(r);
    check_children(r);
    site_keep(r);
}

/* ---- peer ---- */

static void add_peer(struct reading *r, const struct word *word, uint16_t port)
{
    struct config_host host;
    struct complaint c;

    if (is_word(word, "any")) {
        host = (struct config_host){.any = true};
    } else if (!value_host(word->text, &host, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
        return;
    } else if (address_is_multicast(&host.address) || address_is_any(&host.address)) {
        COMPLAIN(r, word->place, "to wait for whoever calls: peer any",
                 "nobody can be dialled at this address");
        return;
    }
    if (r->site.peer_count > 0 && (host.any || r->peers[0].any)) {
        COMPLAIN(r, word->place, NULL, "'any' stands alone, without other peers");
        return;
    }
    if (r->site.peer_count == SITE_PEERS_MAX) {
        COMPLAIN(r, word->place, NULL, "more than %d peers of one site are too many",
                 SITE_PEERS_MAX);
        return;
    }
    if (r->site.peer_count == r->peer_capacity) {
        void *larger = arena_grow(r->arena, r->peers, r->site.peer_count, &r->peer_capacity,
                                  sizeof(*r->peers));
        if (larger == NULL) {
            return;
        }
        r->peers = larger;
    }
    host.port = port;
    host.text = arena_text(r->arena, word->text);
    if (host.address.family != FAMILY_NONE) {
        char text[ADDRESS_TEXT_BYTES];
        host.text = arena_text(r->arena, slice_of_text(address_format(&host.address, text)));
    }
    if (r->site.peer_count == 0) {
        r->site_note.peer = word->place;
    }
    r->peers[r->site.peer_count++] = host;
}

void take_peer(struct reading *r, const struct statement *s)
{
    size_t count = s->count;
    uint64_t port = 0;
    struct complaint c;

    for (size_t i = 1; i < s->count; i++) {
        if (!is_word(&s->words[i], "port")) {
            continue;
        }
        if (i == 1 || i + 2 != s->count) {
            COMPLAIN(r, s->words[i].place, "such as: peer osaka.example.jp port 4500",
                     "'port' stands behind the hosts, with one number behind it");
            return;
        }
        if (!value_number(s->words[i + 1].text, 1, UINT16_MAX, &port, &c)) {
            COMPLAIN(r, s->words[i + 1].place, c.advice, "%s", c.why);
            return;
        }
        if (is_word(&s->words[1], "any")) {
            COMPLAIN(r, s->words[i].place, NULL, "whoever calls chooses his own port");
            return;
        }
        count = i;
    }
    for (size_t i = 1; i < count; i++) {
        add_peer(r, &s->words[i], (uint16_t)port);
    }
}

void write_peer(const struct schema_word *w, const struct shown *shown)
{
    for (size_t i = 0; i < shown->site->peer_count; i++) {
        const struct config_host *host = &shown->site->peers[i];
        if (host->any) {
            shown_line(shown, w->word, "any");
        } else if (host->port != 0) {
            shown_line(shown, w->word, "%s port %u", host->text, (unsigned)host->port);
        } else {
            shown_line(shown, w->word, strcmp(host->text, "port") == 0 ? "\"%s\"" : "%s",
                       host->text);
        }
    }
}

/* ---- what traffic ---- */

void take_network(struct reading *r, const struct statement *s)
{
    bool more = true;

    for (size_t i = 1; more && i < s->count; i++) {
        more = take_one_network(r, &s->words[i], &r->site_note.networks);
    }
}

void write_network(const struct schema_word *w, const struct shown *shown)
{
    for (size_t i = 0; i < shown->site->network_count; i++) {
        char text[NETWORK_TEXT_BYTES];
        shown_line(shown, w->word, "%s", network_format(&shown->site->networks[i], text));
    }
}

static void take_ours(struct reading *r, const struct word *word)
{
    if (!slice_equal_text(word->text, "ours")) {
        COMPLAIN(r, word->place, "such as: only tcp 25 ours",
                 "behind the ports only 'ours' can stand: a block has one pair of SAs, so two mail "
                 "servers need two blocks");
        return;
    }
    r->manual.only_ours = true;
}

static void take_both(struct reading *r, const struct word *word)
{
    if (!slice_equal_text(word->text, "both")) {
        COMPLAIN(r, word->place, "such as: only tcp 25 both",
                 "behind the ports only 'both' can stand");
        return;
    }
    r->site.only_both = true;
}

void take_only(struct reading *r, const struct statement *s)
{
    bool manual = r->scope == SCOPE_MANUAL;
    uint8_t *protocol = manual ? &r->manual.only_protocol : &r->site.only_protocol;
    uint16_t *first = manual ? &r->manual.only_port_first : &r->site.only_port_first;
    uint16_t *last = manual ? &r->manual.only_port_last : &r->site.only_port_last;
    const struct word *word = &s->words[1];
    char text[VALUE_TEXT_BYTES];
    struct complaint c;

    if (!value_protocol(word->text, protocol, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
        return;
    }
    if (s->count == 2) {
        return;
    }
    word = &s->words[2];
    if (!value_protocol_has_ports(*protocol)) {
        COMPLAIN(r, word->place, NULL, "%s has no ports", value_protocol_text(*protocol, text));
        return;
    }
    if (!value_ports(word->text, first, last, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
        return;
    }
    if (s->count > 3 && manual) {
        take_ours(r, &s->words[3]);
    } else if (s->count > 3) {
        take_both(r, &s->words[3]);
    }
}

void write_only(const struct schema_word *w, const struct shown *shown)
{
    const struct config_site *site = shown->site;
    const struct config_manual *manual = shown->manual;
    uint8_t number = site != NULL ? site->only_protocol : manual->only_protocol;
    uint16_t first = site != NULL ? site->only_port_first : manual->only_port_first;
    uint16_t last = site != NULL ? site->only_port_last : manual->only_port_last;
    char text[VALUE_TEXT_BYTES];
    char ports[VALUE_TEXT_BYTES];

    if (number == 0) {
        return;
    }
    shown_line(shown, w->word, "%s%s%s", value_protocol_text(number, text),
               value_ports_text(first, last, ports),
               site != NULL ? (site->only_both ? " both" : "")
                            : (manual->only_ours ? " ours" : ""));
}

/* ---- who ---- */

bool take_secret_name(struct reading *r, const struct word *word, struct config_secret_name *out)
{
    struct slice name = {word->text.data, word->text.length};
    struct complaint c;
    char why[256] = "";

    if (word->quoted || name.length == 0 || name.data[0] != '@') {
        diagnose_hidden(&r->diagnoses, word->place, word->place.column,
                        builds_site(r)
                            ? "keep it with: sekisho secret set NAME; and write: key @NAME"
                            : "keep it with: sekisho secret set NAME; and write: @NAME",
                        "the key itself does not stand here, only the name of a secret");
        return false;
    }
    name.data++;
    name.length--;
    if (!value_name(name, "secret", &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
        return false;
    }
    *out = (struct config_secret_name){arena_text(r->arena, name), word->place};
    if (r->loader->secret != NULL &&
        !r->loader->secret(r->loader->context, out->name, why, sizeof(why))) {
        COMPLAIN(r, word->place, NULL, "%s", why[0] == '\0' ? "this secret cannot be used" : why);
        return false;
    }
    return true;
}

void take_key(struct reading *r, const struct statement *s)
{
    (void)take_secret_name(r, &s->words[1], &r->site.key);
}

void write_key(const struct schema_word *w, const struct shown *shown)
{
    if (shown->site->key.name == NULL) {
        return;
    }
    shown_line(shown, w->word, "@%s", shown->site->key.name);
}

/* ---- certificates ---- */

bool take_path(struct reading *r, const struct word *word, const char **out)
{
    if (word->text.length == 0 || word->text.length > PATH_BYTES_MAX ||
        memchr(word->text.data, 0, word->text.length) != NULL) {
        COMPLAIN(r, word->place, NULL, "the path of a file has 1 to %d bytes", PATH_BYTES_MAX);
        return false;
    }
    *out = arena_text(r->arena, word->text);
    return true;
}

static bool is_token_uri(struct slice text)
{
    struct slice scheme = SLICE_TEXT(CONFIG_TOKEN_SCHEME);

    return text.length >= scheme.length &&
           slice_equal((struct slice){text.data, scheme.length}, scheme);
}

static bool has_attribute(struct slice uri, struct slice name)
{
    for (size_t i = 0; i + name.length < uri.length; i++) {
        bool begins =
            uri.data[i] == '?' || uri.data[i] == '&' || uri.data[i] == ';' || uri.data[i] == ':';

        if (begins && slice_equal((struct slice){uri.data + i + 1, name.length}, name)) {
            return true;
        }
    }
    return false;
}

bool config_key_is_in_token(const struct config_site *site)
{
    return site->key.name == NULL && site->certificate_key != NULL &&
           is_token_uri(slice_of_text(site->certificate_key));
}

/* What the URI names is found when the token is opened; here only that nothing secret is in it. */
static bool take_certificate_key(struct reading *r, const struct word *word)
{
    if (is_token_uri(word->text) && (has_attribute(word->text, SLICE_TEXT("pin-value=")) ||
                                     has_attribute(word->text, SLICE_TEXT("pin-source=")))) {
        diagnose_hidden(
            &r->diagnoses, word->place, word->place.column,
            "keep it with: sekisho secret set NAME; and write behind the key: pin @NAME",
            "the PIN of a token does not stand here, only the name of a secret");
        return false;
    }
    return take_path(r, word, &r->site.certificate_key);
}

void take_certificate(struct reading *r, const struct statement *s)
{
    struct config_site *site = &r->site;
    struct config_secret_name pin = {0};

    if (s->count > 2 && ((s->count != 4 && s->count != 6) || !is_word(&s->words[2], "key"))) {
        COMPLAIN(r, s->words[2].place, "write: certificate FILE key FILE",
                 "behind the certificate stands the word 'key' with a file");
        return;
    }
    if (!take_path(r, &s->words[1], &site->certificate) || s->count == 2 ||
        !take_certificate_key(r, &s->words[3]) || s->count == 4) {
        return;
    }
    if (!is_word(&s->words[4], "pin") || !is_token_uri(s->words[3].text)) {
        COMPLAIN(r, s->words[4].place,
                 "write: certificate FILE key \"pkcs11:token=NAME;object=NAME\" pin @NAME",
                 "a PIN belongs to a key in a token");
        return;
    }
    if (take_secret_name(r, &s->words[5], &pin)) {
        site->certificate_pin = pin.name;
    }
}

void write_certificate(const struct schema_word *w, const struct shown *shown)
{
    const struct config_site *site = shown->site;

    if (site->key.name != NULL || site->certificate == NULL) {
        return;
    }
    sheet_add(shown->out, w->word);
    sheet_add(shown->out, " ");
    sheet_add_word(shown->out, site->certificate);
    if (site->certificate_key != NULL) {
        sheet_add(shown->out, " key ");
        sheet_add_word(shown->out, site->certificate_key);
    }
    if (site->certificate_pin != NULL) {
        sheet_add(shown->out, " pin @");
        sheet_add(shown->out, site->certificate_pin);
    }
    sheet_add(shown->out, "\n");
}

void take_trust(struct reading *r, const struct statement *s)
{
    struct config_site *site = &r->site;

    for (size_t i = 1; i < s->count; i++) {
        if (site->trust_count == CONFIG_TRUSTS_MAX) {
            COMPLAIN(r, s->words[i].place, "put them into one file",
                     "more than %d files of authorities are too many", CONFIG_TRUSTS_MAX);
            return;
        }
        if (!take_path(r, &s->words[i], &site->trusts[site->trust_count])) {
            return;
        }
        site->trust_count++;
    }
}

void write_trust(const struct schema_word *w, const struct shown *shown)
{
    const struct config_site *site = shown->site;

    if (site->trust_count == 0) {
        return;
    }
    sheet_add(shown->out, w->word);
    for (size_t i = 0; i < site->trust_count; i++) {
        sheet_add(shown->out, " ");
        sheet_add_word(shown->out, site->trusts[i]);
    }
    sheet_add(shown->out, "\n");
}

static bool take_urls(struct reading *r, const struct statement *s, const char **list,
                      size_t *count)
{
    for (size_t i = 1; i < s->count; i++) {
        const struct word *word = &s->words[i];

        if (*count == CONFIG_REVOCATION_URLS_MAX) {
            COMPLAIN(r, word->place, NULL, "more than %d places are too many",
                     CONFIG_REVOCATION_URLS_MAX);
            return false;
        }
        if (!revocation_url_is_good(word->text)) {
            COMPLAIN(r, word->place,
                     "write http://HOST[:PORT]/PATH; what comes from there is signed, so https "
                     "would add nothing",
                     "this is no place that can be asked");
            return false;
        }
        list[(*count)++] = arena_text(r->arena, word->text);
    }
    return true;
}

static void write_urls(const struct schema_word *w, const struct shown *shown,
                       const char *const *list, size_t count)
{
    if (count == 0) {
        return;
    }
    sheet_add(shown->out, w->word);
    for (size_t i = 0; i < count; i++) {
        sheet_add(shown->out, " ");
        sheet_add_word(shown->out, list[i]);
    }
    sheet_add(shown->out, "\n");
}

/* What the site has of it, to be added to. NULL: no memory, which the reading finds out. */
static struct config_asked *asked_of(struct reading *r)
{
    struct config_asked *asked = arena_take(r->arena, sizeof(*asked));

    if (asked != NULL) {
        *asked = r->site.asked != NULL ? *r->site.asked : (struct config_asked){0};
        r->site.asked = asked;
    }
    return asked;
}

void take_crl(struct reading *r, const struct statement *s)
{
    struct config_asked *asked = asked_of(r);

    if (asked != NULL) {
        (void)take_urls(r, s, asked->crls, &asked->crl_count);
    }
}

void write_crl(const struct schema_word *w, const struct shown *shown)
{
    const struct config_asked *asked = shown->site->asked;

    write_urls(w, shown, asked == NULL ? NULL : asked->crls, asked == NULL ? 0 : asked->crl_count);
}

void take_ocsp(struct reading *r, const struct statement *s)
{
    struct config_asked *asked = asked_of(r);

    if (asked != NULL) {
        (void)take_urls(r, s, asked->responders, &asked->responder_count);
    }
}

void write_ocsp(const struct schema_word *w, const struct shown *shown)
{
    const struct config_asked *asked = shown->site->asked;

    write_urls(w, shown, asked == NULL ? NULL : asked->responders,
               asked == NULL ? 0 : asked->responder_count);
}

void take_name(struct reading *r, const struct statement *s)
{
    const struct word *word = &s->words[1];

    if (word->text.length > IDENTITY_BYTES_MAX || !certificate_pattern_is_sound(word->text)) {
        COMPLAIN(r, word->place, "write it as: name \"C=JP, O=Partner, CN=gw1\"",
                 "this is not the subject of a certificate");
        return;
    }
    r->site.subject = arena_text(r->arena, word->text);
}

void write_name(const struct schema_word *w, const struct shown *shown)
{
    if (shown->site->subject != NULL) {
        sheet_add(shown->out, w->word);
        sheet_add(shown->out, " ");
        sheet_add_word(shown->out, shown->site->subject);
        sheet_add(shown->out, "\n");
    }
}

static bool identity_fits(struct reading *r, const struct word *word)
{
    if (word->text.length == 0 || word->text.length > IDENTITY_BYTES_MAX) {
        COMPLAIN(r, word->place, NULL, "an identity has 1 to %d bytes", IDENTITY_BYTES_MAX);
        return false;
    }
    return true;
}

void take_say(struct reading *r, const struct statement *s)
{
    if (identity_fits(r, &s->words[1])) {
        r->site.say = arena_text(r->arena, s->words[1].text);
        r->site_note.say = s->words[1].place;
    }
}

static void write_identity_text(const struct schema_word *w, const struct shown *shown,
                                const char *text)
{
    sheet_add(shown->out, w->word);
    sheet_add(shown->out, " ");
    sheet_add_word(shown->out, text);
    sheet_add(shown->out, "\n");
}

void write_say(const struct schema_word *w, const struct shown *shown)
{
    if (shown->site->caller != NULL && shown->site->caller->group != NULL) {
        return; /* the line group-name says it */
    }
    if (shown->site->say != NULL) {
        write_identity_text(w, shown, shown->site->say);
    } else if (shown->mode != SHOW_SAID) {
        write_identity_text(w, shown, shown->config->gateway);
    }
}

void take_identity(struct reading *r, const struct statement *s)
{
    if (is_word(&s->words[1], "any")) {
        r->site.identity_any = true;
    } else if (!is_word(&s->words[1], "auto") && identity_fits(r, &s->words[1])) {
        r->site.identity = arena_text(r->arena, s->words[1].text);
    }
}

const char *config_site_identity(const struct config_site *site)
{
    if (site->identity_any) {
        return NULL;
    }
    if (site->identity != NULL) {
        return site->identity;
    }
    return site->subject != NULL || site->peer_count == 0 || site->peers[0].any
               ? NULL
               : site->peers[0].text;
}

void write_identity(const struct schema_word *w, const struct shown *shown)
{
    const char *identity = config_site_identity(shown->site);

    if (shown->mode == SHOW_SAID && !shown->site->identity_any && shown->site->identity == NULL) {
        return;
    }
    if (identity == NULL) {
        shown_line(shown, w->word, "any");
    } else if (shown->site->identity == NULL &&
               shown->site->peers[0].address.family != FAMILY_NONE) {
        /* Not the address: said as an identity it would have to be proven. */
        shown_line(shown, w->word, "auto");
    } else {
        write_identity_text(w, shown, identity);
    }
}

/* ---- times and sizes ---- */

static const char *const lifetime_words[] = {"ike", "child", "bytes", "packets"};

static bool take_one_lifetime(struct reading *r, size_t which, const struct word *word)
{
    struct config_site *site = &r->site;
    bool off = is_word(word, "off");
    struct complaint c;
    bool good = false;

    switch (which) {
    case 0:
        good = value_duration(word->text, SECONDS(10), DAYS(30), &site->ike_lifetime_ms, &c);
        break;
    case 1:
        good = value_duration(word->text, SECONDS(10), DAYS(30), &site->child_lifetime_ms, &c);
        break;
    case 2:
        good = off || value_size(word->text, UINT64_C(1) << 20, UINT64_C(1) << 60,
                                 &site->lifetime_bytes, &c);
        break;
    case 3:
        good =
            off || value_number(word->text, 1000, UINT64_C(1) << 62, &site->lifetime_packets, &c);
        break;
    }
    if (!good) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
    }
    return good;
}

void take_lifetime(struct reading *r, const struct statement *s)
{
    char shown[VALUE_SHOWN_BYTES + 4];

    for (size_t i = 1; i < s->count; i += 2) {
        const struct word *word = &s->words[i];
        size_t which = 0;
        while (which < 4 && !is_word(word, lifetime_words[which])) {
            which++;
        }
        if (which == 4) {
            COMPLAIN(r, word->place, "such as: lifetime ike 4h child 1h",
                     "'%s' is none of ike, child, bytes and packets",
                     value_shown(word->text, shown));
            return;
        }
        if (r->lifetime_said[which].line != 0) {
            COMPLAIN(r, word->place, NULL, "'lifetime %s' is said twice, first on line %u",
                     lifetime_words[which], (unsigned)r->lifetime_said[which].line);
            return;
        }
        if (i + 1 == s->count) {
            COMPLAIN(r, word->place, "such as: lifetime ike 4h child 1h",
                     "'%s' needs its value behind it", lifetime_words[which]);
            return;
        }
        r->lifetime_said[which] = word->place;
        if (!take_one_lifetime(r, which, &s->words[i + 1])) {
            return;
        }
    }
}

void write_lifetime(const struct schema_word *w, const struct shown *shown)
{
    const struct config_site *site = shown->site;
    const struct shared_proposals *esp =
        CONTAINER_OF((char *)(uintptr_t)site->esp, struct shared_proposals, proposals);
    uint64_t bytes = esp->small_blocks ? DEFAULT_SMALL_BLOCK_BYTES : 0;
    char ike[VALUE_TEXT_BYTES];
    char child[VALUE_TEXT_BYTES];
    char size[VALUE_TEXT_BYTES];

    if (shown->mode == SHOW_SAID && site->ike_lifetime_ms == DEFAULT_IKE_LIFETIME_MS &&
        site->child_lifetime_ms == DEFAULT_CHILD_LIFETIME_MS && site->lifetime_bytes == bytes &&
        site->lifetime_packets == 0) {
        return;
    }
    shown_line(shown, w->word, "ike %s child %s", value_duration_text(site->ike_lifetime_ms, ike),
               value_duration_text(site->child_lifetime_ms, child));
    shown_line(shown, w->word, "bytes %s",
               site->lifetime_bytes == 0 ? "off" : value_size_text(site->lifetime_bytes, size));
    if (site->lifetime_packets == 0) {
        shown_line(shown, w->word, "packets off");
    } else {
        shown_line(shown, w->word, "packets %llu", (unsigned long long)site->lifetime_packets);
    }
}

void take_dpd(struct reading *r, const struct statement *s)
{
    const struct word *word = &s->words[1];
    struct complaint c;

    if (is_word(word, "off")) {
        r->site.dpd_ms = NEVER_MS;
    } else if (!value_duration(word->text, SECONDS(1), DAYS(1), &r->site.dpd_ms, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
    }
}

void write_dpd(const struct schema_word *w, const struct shown *shown)
{
    uint64_t dpd_ms = shown->site->dpd_ms;
    char text[VALUE_TEXT_BYTES];

    if (shown->mode != SHOW_SAID || dpd_ms != DEFAULT_DPD_MS) {
        shown_line(shown, w->word, "%s",
                   dpd_ms == NEVER_MS ? "off" : value_duration_text(dpd_ms, text));
    }
}

void take_replay_window(struct reading *r, const struct statement *s)
{
    bool manual = r->scope == SCOPE_MANUAL;
    uint32_t *window = manual ? &r->manual.replay_window : &r->site.replay_window;
    const struct word *word = &s->words[1];
    struct complaint c;
    uint64_t number;

    if (is_word(word, "off")) {
        if (!manual) {
            COMPLAIN(r, word->place, "leave it out",
                     "only manual keys may go without: here the keys are new whenever the numbers "
                     "begin again, and repeated packets are known");
        }
        *window = 0;
    } else if (!value_number(word->text, REPLAY_WINDOW_LEAST, REPLAY_WINDOW_MOST, &number, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
    } else {
        *window = (uint32_t)number;
    }
}

void write_replay_window(const struct schema_word *w, const struct shown *shown)
{
    bool manual = shown->manual != NULL;
    uint32_t window = manual ? shown->manual->replay_window : shown->site->replay_window;

    if (shown->mode == SHOW_SAID && window == (manual ? 0 : DEFAULT_REPLAY_WINDOW)) {
        return;
    }
    if (window == 0) {
        shown_line(shown, w->word, "off");
    } else {
        shown_line(shown, w->word, "%u", (unsigned)window);
    }
}

void take_fragmentation(struct reading *r, const struct statement *s)
{
    const struct word *word = &s->words[1];

    if (is_word(word, "on") || is_word(word, "off")) {
        r->site.fragmentation = is_word(word, "on");
    } else {
        (void)take_bytes(r, word, FRAGMENT_LEAST, &r->site.fragment_bytes);
    }
}

void write_fragmentation(const struct schema_word *w, const struct shown *shown)
{
    if (!shown->site->fragmentation) {
        shown_line(shown, w->word, "off");
    } else if (shown->mode != SHOW_SAID || shown->site->fragment_bytes != DEFAULT_FRAGMENT_BYTES) {
        shown_line(shown, w->word, "%u", (unsigned)shown->site->fragment_bytes);
    }
}

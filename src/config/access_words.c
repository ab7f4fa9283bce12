/*
 * Decides what a remote-access block means: how people come in, which addresses they get, and what
 * else they are told. The block is a site of the words that both have, with people in the place of
 * the peer and the addresses for them in the place of its networks.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/schema.h"

#define GROUP_BYTES_MAX 255
#define DOMAIN_BYTES_MAX 253
#define POOL_NETWORKS_MAX 64 /* of one range of IPv4 */
#define MILLISECONDS_PER_MINUTE UINT64_C(60000)
#define DAY_MS UINT64_C(86400000)

/* Those words of a site that are about how it is spoken with whoever comes, not about where a peer
 * is and what is behind it. */
static const char *const shared_words[] = {
    "lan",      "key",         "certificate",   "trust",         "crl",    "ocsp",     "revocation",
    "name",     "say",         "ike",           "esp",           "legacy", "lifetime", "dpd",
    "pfs",      "encapsulate", "replay-window", "fragmentation", "mss",    "mtu",      "df",
    "fragment", "dscp",        "mtu-probe",     "vendor-ids",    "routes", "disabled",
};

bool access_has_word(const char *word)
{
    for (size_t i = 0; i < ARRAY_LENGTH(shared_words); i++) {
        if (strcmp(shared_words[i], word) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- the block ---- */

void access_begin(struct reading *r, const struct statement *s)
{
    site_begin_as(r, s, SCOPE_ACCESS, "remote-access block");
    r->access = (struct config_access){
        .max_sessions = DEFAULT_MAX_SESSIONS,
        .idle_ms = NEVER_MS,
    };
    r->fixed = NULL;
    r->fixed_capacity = 0;
    r->via_said = (struct config_place){0};
    r->site.version = CONFIG_IKE_V1;
    r->site.start = START_WAIT;
    r->peers = arena_take(r->arena, sizeof(*r->peers));
    if (r->peers != NULL) {
        r->peers[0] = (struct config_host){.text = "any", .any = true};
        r->site.peer_count = 1;
    }
}

static bool was_said(const struct reading *r, const char *word)
{
    return said_at(r, word).line != 0;
}

static void check_present(struct reading *r)
{
    const struct config_site *site = &r->site;

    if (!was_said(r, "via")) {
        COMPLAIN(r, site->place, "write: via xauth", "remote-access %s does not say by what",
                 site->name);
    }
    if (!was_said(r, "addresses")) {
        COMPLAIN(r, site->place, "such as: addresses 10.9.6.0/24",
                 "remote-access %s has no addresses for people", site->name);
    }
}

/* How the gateway proves itself. */
static void check_proof(struct reading *r)
{
    static const char *const certificate_words[] = {"certificate", "trust", "name", "crl", "ocsp"};
    const struct config_site *site = &r->site;

    if (site->key.name == NULL) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(certificate_words); i++) {
        if (was_said(r, certificate_words[i])) {
            COMPLAIN(r, said_at(r, certificate_words[i]), "take the line key out, or this one",
                     "remote-access %s has a group key, and no certificates are looked at",
                     site->name);
            break;
        }
    }
    if (r->access.hybrid) {
        COMPLAIN(r, site->key.place, "leave the line key out, or the word hybrid",
                 "with hybrid the gateway has a certificate, and there is no group key");
        return;
    }
    WARN(r, site->key.place,
         "better: certificates and 'via xauth hybrid', where the clients can do it",
         "all people of %s have this key: each of them can pretend to be this gateway and collect "
         "the others' passwords",
         site->name);
}

/* RFC 2409 5.4: before a caller in Main Mode says his name his key must be known, so who has a
 * group's name begins in Aggressive Mode, as Cisco's clients do. `legacy aggressive` allows it; it
 * need not be said twice. */
static void settle_aggressive(struct reading *r)
{
    for (size_t i = 0; i < r->legacy.count; i++) {
        if (is_word(&r->legacy.list[i], "aggressive") && !r->site.aggressive) {
            r->site.aggressive = true;
            r->exchange_said = r->legacy.list[i].place;
        }
    }
}

static void check_version(struct reading *r)
{
    if (r->site.version != CONFIG_IKE_V1) {
        COMPLAIN(r, r->version_said, "leave it out", "'via xauth' is spoken in IKEv1");
        r->site.version = CONFIG_IKE_V1;
    }
}

static int compare_fixed(const void *left, const void *right)
{
    const struct config_fixed *a = left;
    const struct config_fixed *b = right;

    return strcmp(a->user, b->user);
}

static int compare_addresses(const void *left, const void *right)
{
    const struct config_fixed *a = left;
    const struct config_fixed *b = right;

    return address_compare(&a->address, &b->address);
}

static bool pool_has(const struct config_access *access, const struct address *a)
{
    for (size_t i = 0; i < access->range_count; i++) {
        if (range_contains(&access->ranges[i], a)) {
            return true;
        }
    }
    return false;
}

/* Routes lead to the pool; whoever has another address would hear nothing. */
static void settle_fixed(struct reading *r)
{
    struct config_access *access = &r->access;
    char text[ADDRESS_TEXT_BYTES];

    access->fixed = r->fixed;
    if (access->fixed_count == 0) {
        return;
    }
    qsort(r->fixed, access->fixed_count, sizeof(*r->fixed), compare_addresses);
    for (size_t i = 0; i < access->fixed_count; i++) {
        const struct config_fixed *f = &r->fixed[i];

        address_format(&f->address, text);
        if (!pool_has(access, &f->address)) {
            COMPLAIN(r, said_at(r, "address"), "add it to the line addresses",
                     "the address %s of %s is not among the addresses of remote-access %s", text,
                     f->user, r->site.name);
        }
        if (i > 0 && address_equal(&r->fixed[i - 1].address, &f->address)) {
            COMPLAIN(r, said_at(r, "address"), "give each an address of his own",
                     "the address %s is that of %s and of %s", text, r->fixed[i - 1].user, f->user);
        }
    }
    qsort(r->fixed, access->fixed_count, sizeof(*r->fixed), compare_fixed);
    for (size_t i = 1; i < access->fixed_count; i++) {
        if (strcmp(r->fixed[i - 1].user, r->fixed[i].user) == 0) {
            COMPLAIN(r, said_at(r, "address"), "one address a user",
                     "the user %s has two addresses", r->fixed[i].user);
        }
    }
}

void access_end(struct reading *r)
{
    struct config_access *kept = arena_take(r->arena, sizeof(*kept));
    struct range *ranges = arena_take(r->arena, (r->access.range_count + 1) * sizeof(*ranges));

    check_present(r);
    check_proof(r);
    check_version(r);
    login_check(r, &r->access.login, &r->site.place);
    settle_aggressive(r);
    if (ranges != NULL) {
        memcpy(ranges, r->pool, r->access.range_count * sizeof(*ranges));
        r->access.ranges = ranges;
        settle_fixed(r);
    }
    if (r->access.group != NULL) {
        r->site.identity = r->access.group;
    } else {
        r->site.identity_any = true;
    }
    if (kept != NULL) {
        *kept = r->access;
        r->site.access = kept;
    }
    site_settle(r);
    site_keep(r);
}

/* ---- via ---- */

static bool is_later(const struct word *w)
{
    static const char *const later[] = {"ikev2", "l2tp", "pptp", "sstp", "openvpn", "ssl"};

    for (size_t i = 0; i < ARRAY_LENGTH(later); i++) {
        if (is_word(w, later[i])) {
            return true;
        }
    }
    return false;
}

void take_via(struct reading *r, const struct statement *s)
{
    char shown[VALUE_SHOWN_BYTES + 4];

    r->via_said = s->words[1].place;
    for (size_t i = 1; i < s->count; i++) {
        const struct word *w = &s->words[i];

        if (is_later(w)) {
            COMPLAIN(r, w->place, "this version has: via xauth",
                     "'%s' is not in this version of Sekisho", value_shown(w->text, shown));
        } else if (is_word(w, "hybrid") && i == 2) {
            r->access.hybrid = true;
        } else if (!is_word(w, "xauth") || i != 1) {
            COMPLAIN(r, w->place, "write: via xauth, or: via xauth hybrid",
                     "'%s' is no way in which people come", value_shown(w->text, shown));
        }
    }
}

void write_via(const struct schema_word *w, const struct shown *shown)
{
    shown_line(shown, w->word, "xauth%s", shown->site->access->hybrid ? " hybrid" : "");
}

/* ---- addresses ---- */

static bool address_fits(struct reading *r, const struct word *word, const struct address *a)
{
    if (a->family != FAMILY_IPV4) {
        COMPLAIN(r, word->place, "such as: addresses 10.9.6.0/24",
                 "people who come by xauth get addresses of IPv4");
        return false;
    }
    if (address_is_multicast(a) || address_is_loopback(a) || address_is_link_local(a) ||
        address_is_any(a)) {
        COMPLAIN(r, word->place, NULL, "nobody can have such an address");
        return false;
    }
    return true;
}

static bool note_networks(struct reading *r, const struct word *word, const struct range *range)
{
    struct network list[POOL_NETWORKS_MAX];
    size_t count = range_to_networks(range, list, ARRAY_LENGTH(list));

    for (size_t i = 0; i < count; i++) {
        if (!note_network(r, &list[i], &word->place, &r->site_note.networks)) {
            return false;
        }
    }
    return true;
}

void take_pool(struct reading *r, const struct statement *s)
{
    struct config_access *access = &r->access;
    struct complaint c;
    uint64_t count = 0;

    if (is_word(&s->words[1], "dhcp") || is_word(&s->words[1], "radius")) {
        COMPLAIN(r, s->words[1].place, "such as: addresses 10.9.6.0/24",
                 "'addresses %s' is not in this version of Sekisho",
                 is_word(&s->words[1], "dhcp") ? "dhcp" : "radius");
        return;
    }
    for (size_t i = 1; i < s->count; i++) {
        const struct word *word = &s->words[i];
        struct range range;

        if (!value_range(word->text, &range, &c)) {
            COMPLAIN(r, word->place, c.advice, "%s", c.why);
            continue;
        }
        if (!address_fits(r, word, &range.first) || !address_fits(r, word, &range.last)) {
            continue;
        }
        count += (uint64_t)get_u32(range.last.bytes) - get_u32(range.first.bytes) + 1;
        if (access->range_count == CONFIG_POOL_RANGES_MAX || count > CONFIG_POOL_ADDRESSES_MAX) {
            COMPLAIN(r, word->place, "join neighbouring ones",
                     "more than %d networks and ranges, or %u addresses, are too many",
                     CONFIG_POOL_RANGES_MAX, (unsigned)CONFIG_POOL_ADDRESSES_MAX);
            return;
        }
        r->pool[access->range_count++] = range;
        if (!note_networks(r, word, &range)) {
            return;
        }
    }
}

static void add_range(const struct range *range, struct sheet *out)
{
    char text[RANGE_TEXT_BYTES];
    char network_text[NETWORK_TEXT_BYTES];
    struct network network;

    sheet_addf(out, " %s",
               range_is_network(range, &network) ? network_format(&network, network_text)
                                                 : range_format(range, text));
}

void write_pool(const struct schema_word *w, const struct shown *shown)
{
    const struct config_access *access = shown->site->access;

    sheet_add(shown->out, w->word);
    for (size_t i = 0; i < access->range_count; i++) {
        add_range(&access->ranges[i], shown->out);
    }
    sheet_add(shown->out, "\n");
}

static bool user_fits(struct reading *r, const struct word *word)
{
    if (word->text.length == 0 || word->text.length >= CONFIG_USER_BYTES) {
        COMPLAIN(r, word->place, NULL, "the name of a user has 1 to %d bytes",
                 CONFIG_USER_BYTES - 1);
        return false;
    }
    return true;
}

void take_fixed(struct reading *r, const struct statement *s)
{
    struct config_access *access = &r->access;
    struct complaint c;
    struct address a;

    if (!user_fits(r, &s->words[1])) {
        return;
    }
    if (!value_address(s->words[2].text, &a, &c)) {
        COMPLAIN(r, s->words[2].place, c.advice, "%s", c.why);
        return;
    }
    if (!address_fits(r, &s->words[2], &a)) {
        return;
    }
    if (access->fixed_count == CONFIG_FIXED_MAX) {
        COMPLAIN(r, s->words[1].place, NULL, "more than %d fixed addresses are too many",
                 CONFIG_FIXED_MAX);
        return;
    }
    if (access->fixed_count == r->fixed_capacity) {
        void *more = arena_grow(r->arena, r->fixed, access->fixed_count, &r->fixed_capacity,
                                sizeof(*r->fixed));
        if (more == NULL) {
            return;
        }
        r->fixed = more;
    }
    r->fixed[access->fixed_count++] =
        (struct config_fixed){arena_text(r->arena, s->words[1].text), a};
}

void write_fixed(const struct schema_word *w, const struct shown *shown)
{
    const struct config_access *access = shown->site->access;
    char text[ADDRESS_TEXT_BYTES];

    for (size_t i = 0; i < access->fixed_count; i++) {
        sheet_addf(shown->out, "%s ", w->word);
        sheet_add_word(shown->out, access->fixed[i].user);
        sheet_addf(shown->out, " %s\n", address_format(&access->fixed[i].address, text));
    }
}

static uint64_t addresses_of(const struct config_access *access)
{
    uint64_t count = 0;

    for (size_t i = 0; i < access->range_count; i++) {
        count += (uint64_t)get_u32(access->ranges[i].last.bytes) -
                 get_u32(access->ranges[i].first.bytes) + 1;
    }
    return count;
}

static void describe_pool(const struct config_access *access, char *out, size_t capacity)
{
    struct network network;
    char text[NETWORK_TEXT_BYTES];

    if (access->range_count == 1 && range_is_network(&access->ranges[0], &network)) {
        snprintf(out, capacity, "%s", network_format(&network, text));
    } else {
        snprintf(out, capacity, "%llu addresses", (unsigned long long)addresses_of(access));
    }
}

bool access_pool_change(const struct config_site *before, const struct config_site *now, char *out,
                        size_t capacity)
{
    char old_text[NETWORK_TEXT_BYTES + 16];
    char new_text[NETWORK_TEXT_BYTES + 16];
    bool same = before->access != NULL && now->access != NULL &&
                before->access->range_count == now->access->range_count;

    if (before->access == NULL || now->access == NULL) {
        return false;
    }
    for (size_t i = 0; same && i < now->access->range_count; i++) {
        same = address_equal(&before->access->ranges[i].first, &now->access->ranges[i].first) &&
               address_equal(&before->access->ranges[i].last, &now->access->ranges[i].last);
    }
    if (same) {
        return false;
    }
    bool all = true;

    for (size_t i = 0; all && i < before->access->range_count; i++) {
        bool found = false;

        for (size_t j = 0; !found && j < now->access->range_count; j++) {
            found = range_contains_range(&now->access->ranges[j], &before->access->ranges[i]);
        }
        all = found;
    }
    describe_pool(before->access, old_text, sizeof(old_text));
    describe_pool(now->access, new_text, sizeof(new_text));
    snprintf(out, capacity, "pool %s %s -> %s, sessions %s", all ? "grows" : "changed", old_text,
             new_text, all ? "stay" : "in both stay");
    return true;
}

/* ---- what people are told ---- */

static void take_resolvers(struct reading *r, const struct statement *s, struct address *list,
                           size_t *count, bool names)
{
    struct complaint c;

    for (size_t i = 1; i < s->count; i++) {
        const struct word *word = &s->words[i];
        struct config_host host;

        if (!value_host(word->text, &host, &c)) {
            COMPLAIN(r, word->place, c.advice, "%s", c.why);
        } else if (host.address.family == FAMILY_NONE && names && *count > 0 &&
                   r->access.domain == NULL) {
            r->access.domain = arena_text(r->arena, word->text);
        } else if (host.address.family != FAMILY_IPV4) {
            COMPLAIN(r, word->place, names ? "such as: dns 10.1.0.53 corp.example.jp" : NULL,
                     "here stands the address of a server%s",
                     names ? "; a domain comes last, and once" : "");
        } else if (*count == CONFIG_RESOLVERS_MAX) {
            COMPLAIN(r, word->place, NULL, "more than %d servers are too many",
                     CONFIG_RESOLVERS_MAX);
        } else {
            list[(*count)++] = host.address;
        }
    }
}

void take_dns(struct reading *r, const struct statement *s)
{
    take_resolvers(r, s, r->access.dns, &r->access.dns_count, true);
}

void take_wins(struct reading *r, const struct statement *s)
{
    take_resolvers(r, s, r->access.wins, &r->access.wins_count, false);
}

static void write_resolvers(const struct schema_word *w, const struct shown *shown,
                            const struct address *list, size_t count, const char *domain)
{
    char text[ADDRESS_TEXT_BYTES];

    if (count == 0) {
        return;
    }
    sheet_add(shown->out, w->word);
    for (size_t i = 0; i < count; i++) {
        sheet_addf(shown->out, " %s", address_format(&list[i], text));
    }
    sheet_addf(shown->out, "%s%s\n", domain != NULL ? " " : "", domain != NULL ? domain : "");
}

void write_dns(const struct schema_word *w, const struct shown *shown)
{
    const struct config_access *access = shown->site->access;

    write_resolvers(w, shown, access->dns, access->dns_count, access->domain);
}

void write_wins(const struct schema_word *w, const struct shown *shown)
{
    const struct config_access *access = shown->site->access;

    write_resolvers(w, shown, access->wins, access->wins_count, NULL);
}

void take_banner(struct reading *r, const struct statement *s)
{
    if (s->words[1].text.length > CONFIG_BANNER_BYTES) {
        COMPLAIN(r, s->words[1].place, NULL, "a banner has %d bytes at most", CONFIG_BANNER_BYTES);
        return;
    }
    r->access.banner = arena_text(r->arena, s->words[1].text);
}

static void write_text(const struct schema_word *w, const struct shown *shown, const char *text)
{
    if (text != NULL) {
        sheet_addf(shown->out, "%s ", w->word);
        sheet_add_word(shown->out, text);
        sheet_add(shown->out, "\n");
    }
}

void write_banner(const struct schema_word *w, const struct shown *shown)
{
    write_text(w, shown, shown->site->access->banner);
}

void take_group_name(struct reading *r, const struct statement *s)
{
    if (s->words[1].text.length == 0 || s->words[1].text.length > GROUP_BYTES_MAX) {
        COMPLAIN(r, s->words[1].place, NULL, "the name of a group has 1 to %d bytes",
                 GROUP_BYTES_MAX);
        return;
    }
    r->access.group = arena_text(r->arena, s->words[1].text);
}

void write_group_name(const struct schema_word *w, const struct shown *shown)
{
    write_text(w, shown, shown->site->access->group);
}

/* ---- choices ---- */

/* The index of the one word behind, or SIZE_MAX when it was told that it is none of them. */
static size_t take_one_of(struct reading *r, const struct statement *s, const char *const *words,
                          const char *advice)
{
    char shown[VALUE_SHOWN_BYTES + 4];

    for (size_t i = 0; words[i] != NULL; i++) {
        if (is_word(&s->words[1], words[i])) {
            return i;
        }
    }
    COMPLAIN(r, s->words[1].place, advice, "'%s' is nothing that %.*s can be",
             value_shown(s->words[1].text, shown), (int)s->words[0].text.length,
             (const char *)s->words[0].text.data);
    return SIZE_MAX;
}

static const char *const traffic_words[] = {"lan", "everything", NULL};

void take_traffic(struct reading *r, const struct statement *s)
{
    if (s->count > 2) {
        COMPLAIN(r, s->words[2].place, "one of: lan everything",
                 "'traffic everything except' is not in this version of Sekisho");
        return;
    }
    size_t which = take_one_of(r, s, traffic_words, "one of: lan everything");

    if (which != SIZE_MAX) {
        r->access.traffic = (enum config_traffic)which;
    }
}

void write_traffic(const struct schema_word *w, const struct shown *shown)
{
    enum config_traffic traffic = shown->site->access->traffic;

    if (shown->mode != SHOW_SAID || traffic != CONFIG_TRAFFIC_LAN) {
        shown_line(shown, w->word, "%s", traffic_words[traffic]);
    }
}

static const char *const settings_words[] = {"asked", "pushed", NULL};

void take_settings(struct reading *r, const struct statement *s)
{
    size_t which = take_one_of(r, s, settings_words, "one of: asked pushed");

    if (which != SIZE_MAX) {
        r->access.settings = (enum config_settings)which;
    }
}

void write_settings(const struct schema_word *w, const struct shown *shown)
{
    enum config_settings settings = shown->site->access->settings;

    if (shown->mode != SHOW_SAID || settings != CONFIG_SETTINGS_ASKED) {
        shown_line(shown, w->word, "%s", settings_words[settings]);
    }
}

void take_save_password(struct reading *r, const struct statement *s)
{
    struct complaint c;

    if (!value_switch(s->words[1].text, &r->access.save_password, &c)) {
        COMPLAIN(r, s->words[1].place, c.advice, "%s", c.why);
    }
}

void write_save_password(const struct schema_word *w, const struct shown *shown)
{
    bool save = shown->site->access->save_password;

    if (shown->mode != SHOW_SAID || save) {
        shown_line(shown, w->word, "%s", save ? "on" : "off");
    }
}

void take_access_login(struct reading *r, const struct statement *s)
{
    login_take(r, s, &r->access.login);
}

void write_access_login(const struct schema_word *w, const struct shown *shown)
{
    login_write(w, shown, &shown->site->access->login);
}

void take_second_factor(struct reading *r, const struct statement *s)
{
    login_take_factor(r, s, &r->access.login);
}

void write_second_factor(const struct schema_word *w, const struct shown *shown)
{
    login_write_factor(w, shown, &shown->site->access->login);
}

/* ---- limits ---- */

static const char *const full_words[] = {
    [CONFIG_FULL_OLDEST_GOES] = "oldest-goes", [CONFIG_FULL_REFUSE] = "refuse"};

void take_max_sessions(struct reading *r, const struct statement *s)
{
    char shown[VALUE_SHOWN_BYTES + 4];
    struct complaint c;
    uint64_t number = 0;

    if (!is_word(&s->words[1], "off") && !value_number(s->words[1].text, 1, 1000, &number, &c)) {
        COMPLAIN(r, s->words[1].place, c.advice, "%s", c.why);
        return;
    }
    r->access.max_sessions = (uint32_t)number;
    if (s->count == 2 || is_word(&s->words[2], full_words[CONFIG_FULL_OLDEST_GOES])) {
        return;
    }
    if (is_word(&s->words[2], full_words[CONFIG_FULL_REFUSE])) {
        r->access.when_full = CONFIG_FULL_REFUSE;
        return;
    }
    COMPLAIN(r, s->words[2].place, "one of: oldest-goes refuse",
             "'%s' is nothing that happens to one session more",
             value_shown(s->words[2].text, shown));
}

void write_max_sessions(const struct schema_word *w, const struct shown *shown)
{
    const struct config_access *access = shown->site->access;
    bool refuses = access->when_full == CONFIG_FULL_REFUSE;
    char number[16] = "off";

    if (shown->mode == SHOW_SAID && access->max_sessions == DEFAULT_MAX_SESSIONS && !refuses) {
        return;
    }
    if (access->max_sessions > 0) {
        snprintf(number, sizeof(number), "%u", (unsigned)access->max_sessions);
    }
    shown_line(shown, w->word, "%s%s%s", number, refuses ? " " : "",
               refuses ? full_words[CONFIG_FULL_REFUSE] : "");
}

void take_idle_timeout(struct reading *r, const struct statement *s)
{
    struct complaint c;

    if (is_word(&s->words[1], "off")) {
        r->access.idle_ms = NEVER_MS;
    } else if (!value_duration(s->words[1].text, MILLISECONDS_PER_MINUTE, 30 * DAY_MS,
                               &r->access.idle_ms, &c)) {
        COMPLAIN(r, s->words[1].place, c.advice, "%s", c.why);
    }
}

void write_idle_timeout(const struct schema_word *w, const struct shown *shown)
{
    uint64_t idle_ms = shown->site->access->idle_ms;
    char text[VALUE_TEXT_BYTES];

    if (shown->mode != SHOW_SAID || idle_ms != NEVER_MS) {
        shown_line(shown, w->word, "%s",
                   idle_ms == NEVER_MS ? "off" : value_duration_text(idle_ms, text));
    }
}

/* ---- when all is read ---- */

void access_complain_lan(struct reading *r, const struct said_network *pool, const char *lan,
                         const char *place, bool all)
{
    char text[NETWORK_TEXT_BYTES];

    network_format(&pool->network, text);
    if (all) {
        COMPLAIN(r, pool->place, "choose addresses that nobody has, such as: addresses 10.9.6.0/24",
                 "pool %s has lan %s in it (%s): people would get the addresses of our hosts", text,
                 lan, place);
    } else {
        WARN(r, pool->place, NULL,
             "pool %s overlaps lan %s (%s): hosts of ours with such addresses could not be reached",
             text, lan, place);
    }
}

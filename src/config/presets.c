/*
 * Decides what `like PRODUCT` means. The facts are what the products send and accept by default, or
 * accept when they are told to, as they are known in public; where nothing is known the defaults of
 * the language stand.
 *
 * A preset allows nothing weak: of its proposals the weak algorithms are taken that the site's own
 * `legacy` names, and a proposal that lacks something then is left out.
 */
#include "config/presets.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "config/schema.h"

#define LINE_WORDS_MAX 16

/* AES-GCM beside AES-CBC, with all strong groups of NIST and MODP. */
#define GROUPS "ecp384-ecp256-ecp521-modp4096-modp3072-modp2048"
#define SHA2 "sha256-sha384-sha512"

static const struct preset presets[] = {
    {"aws",
     "AWS Site-to-Site VPN",
     {"ike aes256gcm16-aes128gcm16-prfsha256-prfsha384-prfsha512-" GROUPS " aes256-aes128-" SHA2
      "-" GROUPS " aes256-aes128-sha256-sha1-modp2048-modp1024",
      "esp aes256gcm16-aes128gcm16-" GROUPS " aes256-aes128-" SHA2 "-" GROUPS
      " aes256-aes128-sha1-modp2048-modp1024",
      "pfs on", "lifetime ike 8h", "lifetime child 1h", "dpd 10s", "encapsulate always"}},
    /* Its own policy has group 2 only; a custom one is exactly one combination. */
    {"azure",
     "Azure VPN Gateway",
     {("ike aes256-aes128-sha256-sha384-ecp384-ecp256-modp2048"
       " aes256-aes128-3des-sha256-sha1-modp1024"),
      "esp aes256gcm16 aes256-aes128-sha256 aes256-aes128-3des-sha1", "pfs off", "lifetime ike 8h",
      "lifetime child 27000s", "encapsulate always", "fragmentation 1200", "children together"}},
    /* Which cipher a tunnel has may change, and its MTU with it, when the other side renews it: one
     * is offered. */
    {"gcp",
     "Google Cloud VPN",
     {"ike aes256gcm16-prfsha256-ecp384-ecp256-modp4096-modp2048",
      "esp aes256gcm16-ecp384-ecp256-modp4096-modp2048", "pfs on", "lifetime ike 10h",
      "lifetime child 3h", "fragmentation on", "children together"}},
    {"fortigate",
     "FortiGate",
     {"ike aes256-aes128-sha256-modp2048 aes256-aes128-3des-sha256-sha1-modp2048-modp1536",
      "esp aes256-aes128-sha256-modp2048 aes256-aes128-3des-sha256-sha1-modp2048-modp1536",
      "pfs on", "lifetime ike 24h", "lifetime child 12h", "encapsulate always",
      "children per-pair"}},
    {"cisco-ios",
     "Cisco IOS and IOS XE",
     {"ike aes256-aes192-aes128-sha512-sha384-sha256-modp4096-ecp521-ecp384-modp2048"
      " aes256-aes192-aes128-3des-sha512-sha384-sha256-sha1-md5-modp1536-modp1024",
      "children per-pair"}},
    {"cisco-asa", "Cisco ASA and Firepower", {"children per-pair"}},
    {"paloalto", "Palo Alto Networks", {"children per-pair"}},
    {"mikrotik",
     "MikroTik RouterOS",
     {"esp aes256-aes192-aes128-sha256-modp2048 aes256-aes192-aes128-sha1-modp2048-modp1024",
      "lifetime child 30m", "pfs on", "children per-pair"}},
    {"checkpoint", "Check Point", {"children per-pair"}},
    {"juniper", "Juniper SRX", {"children per-pair"}},
    {"opnsense", "OPNsense", {"children together"}},
    {"strongswan", "strongSwan", {"children together"}},
    {"libreswan", "Libreswan", {"children per-pair"}},
    /* It refuses a key exchange that is proposed for a child, even beside none. */
    {"windows",
     "Windows and its Routing and Remote Access",
     {("ike aes256-sha256-sha384-ecp384-ecp256-modp2048"
       " aes256-aes192-aes128-3des-sha256-sha384-sha1-modp2048-modp1024"),
      "esp aes256gcm16-aes128gcm16 aes256-aes128-sha256 aes256-aes128-3des-sha1", "pfs off",
      "lifetime ike 24h", "lifetime child 8h", "vendor-ids off", "children together"}},
    {"apple",
     "macOS, iOS and iPadOS",
     {("ike aes256gcm16-prfsha256-prfsha384-ecp384-ecp256-modp2048"
       " aes256-sha256-modp2048-ecp256-ecp384"
       " aes256-aes128-3des-sha256-sha1-modp2048-modp1536-modp1024"),
      "esp aes256gcm16 aes256-sha256 aes256-aes128-3des-sha1", "pfs prefer", "fragmentation on",
      "children together"}},
    {"android",
     "Android 11 and later",
     {"ike aes256gcm16-aes192gcm16-aes128gcm16-chacha20poly1305"
      "-prfsha512-prfsha384-prfsha256-modp4096-x25519-modp3072-modp2048"
      " aes256-aes192-aes128-sha512-sha384-sha256-modp4096-x25519-modp3072-modp2048",
      "esp aes256gcm16-aes192gcm16-aes128gcm16-chacha20poly1305"
      " aes256-aes192-aes128-sha512-sha384-sha256",
      "pfs prefer", "strict-identity off", "children together"}},
    {"sekisho", "Sekisho", {"children together"}},
};

const struct preset *preset_at(size_t index)
{
    return index < ARRAY_LENGTH(presets) ? &presets[index] : NULL;
}

const struct preset *preset_find(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(presets); i++) {
        if (slice_equal_text(name, presets[i].name)) {
            return &presets[i];
        }
    }
    return NULL;
}

/* ---- the word ---- */

void take_like(struct reading *r, const struct statement *s)
{
    const struct word *word = &s->words[1];
    const struct preset *preset = preset_find(word->text);
    const char *names[ARRAY_LENGTH(presets)];
    char shown[VALUE_SHOWN_BYTES + 4];
    char advice[256] = "one of:";

    if (preset != NULL) {
        r->site.like = preset->name;
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(presets); i++) {
        size_t used = strlen(advice);
        names[i] = presets[i].name;
        snprintf(advice + used, sizeof(advice) - used, " %s", names[i]);
    }
    size_t nearest = value_nearest(word->text, names, ARRAY_LENGTH(names));

    if (nearest < ARRAY_LENGTH(names)) {
        snprintf(advice, sizeof(advice), "did you mean '%s' ?", names[nearest]);
    }
    COMPLAIN(r, word->place, advice, "nothing is known about '%s'", value_shown(word->text, shown));
}

void write_like(const struct schema_word *w, const struct shown *shown)
{
    if (shown->site->like != NULL) {
        shown_line(shown, w->word, "%s", shown->site->like);
    }
}

/* ---- a line ---- */

static size_t split(const char *line, struct slice words[LINE_WORDS_MAX])
{
    size_t count = 0;

    for (const char *at = line; *at != '\0';) {
        size_t length = strcspn(at, " ");

        assert(count < LINE_WORDS_MAX);
        words[count++] = (struct slice){(const uint8_t *)at, length};
        at += length + (at[length] == ' ');
    }
    return count;
}

static bool is_named(const char *line, const char *word)
{
    size_t length = strlen(word);

    return strncmp(line, word, length) == 0 && line[length] == ' ';
}

/* `lifetime` is said in parts. */
static bool is_said(const struct reading *r, const struct slice *words)
{
    char word[32];

    assert(words[0].length < sizeof(word));
    memcpy(word, words[0].data, words[0].length);
    word[words[0].length] = '\0';
    if (strcmp(word, "lifetime") == 0) {
        return r->lifetime_said[slice_equal_text(words[1], "child") ? 1 : 0].line != 0;
    }
    return said_at(r, word).line != 0;
}

/* What a site is makes some words of a preset meaningless. */
static bool is_meant(const struct reading *r, const char *line)
{
    bool ah = said_at(r, "ah").line != 0;

    if (ah && (is_named(line, "esp") || is_named(line, "encapsulate"))) {
        return false;
    }
    return !is_named(line, "children") ||
           (r->site.carriage.mode == CONFIG_TUNNEL && r->site.each == CONFIG_EACH_OFF &&
            said_at(r, "only").line == 0);
}

/* What is left of a proposal without what is weak and not allowed; empty: nothing usable. */
static struct slice strong_part(struct reading *r, uint8_t protocol, struct slice word)
{
    char text[512];
    size_t used = 0;
    struct proposal parsed;
    char why[256];

    for (size_t at = 0; at <= word.length;) {
        const uint8_t *begin = word.data + at;
        const uint8_t *dash = at < word.length ? memchr(begin, '-', word.length - at) : NULL;
        struct slice part = {begin, dash == NULL ? word.length - at : (size_t)(dash - begin)};
        struct transform t;

        at += part.length + 1;
        if (!transform_by_word(0, part, &t) ||
            !legacy_is_allowed(r, algorithm_find(t.type, t.id))) {
            continue;
        }
        assert(used + part.length + 1 < sizeof(text));
        if (used > 0) {
            text[used++] = '-';
        }
        memcpy(text + used, part.data, part.length);
        used += part.length;
    }
    struct slice left = {(const uint8_t *)text, used};

    if (used == 0 || !proposal_parse(protocol, left, &parsed, why, sizeof(why))) {
        return (struct slice){NULL, 0};
    }
    return slice_of_text(arena_text(r->notes, left));
}

/* What a proposal is without its weak parts may have stood there already. */
static bool is_there(const struct statement *s, struct slice word)
{
    for (size_t i = 1; i < s->count; i++) {
        if (slice_equal(s->words[i].text, word)) {
            return true;
        }
    }
    return false;
}

static void take_line(struct reading *r, const char *line, struct config_place place)
{
    struct slice words[LINE_WORDS_MAX];
    size_t count = split(line, words);
    bool ike = is_named(line, "ike");
    bool offers = ike || is_named(line, "esp");
    struct statement *s = &r->statement;

    s->count = 0;
    s->opens = s->broken = false;
    for (size_t i = 0; i < count; i++) {
        struct slice text = words[i];

        if (offers && i > 0) {
            text = strong_part(r, ike ? PROTOCOL_IKE : PROTOCOL_ESP, text);
            if (text.length == 0 || is_there(s, text)) {
                continue;
            }
        }
        s->words[s->count++] = (struct word){.text = text, .place = place, .expanded = true};
    }
    schema_take(r, schema_find(SCOPE_SITE, words[0]), s);
}

void preset_apply(struct reading *r)
{
    const struct preset *preset =
        r->site.like == NULL ? NULL : preset_find(slice_of_text(r->site.like));
    bool take[PRESET_LINES_MAX] = {false};
    struct slice words[LINE_WORDS_MAX];

    if (preset == NULL) {
        return;
    }
    /* First what is said is looked at, then lines are taken, which say something too. */
    for (size_t i = 0; i < PRESET_LINES_MAX && preset->lines[i] != NULL; i++) {
        (void)split(preset->lines[i], words);
        take[i] = !is_said(r, words) && is_meant(r, preset->lines[i]);
    }
    for (size_t i = 0; i < PRESET_LINES_MAX; i++) {
        if (take[i]) {
            take_line(r, preset->lines[i], said_at(r, "like"));
            r->site.like_lines |= (uint16_t)(1U << i);
        }
    }
}

bool preset_gave(const struct config_site *site, const char *word)
{
    const struct preset *preset =
        site->like == NULL ? NULL : preset_find(slice_of_text(site->like));
    bool gave = false;

    for (size_t i = 0; preset != NULL && i < PRESET_LINES_MAX && preset->lines[i] != NULL; i++) {
        if (!is_named(preset->lines[i], word)) {
            continue;
        }
        if ((site->like_lines & 1U << i) == 0) {
            return false;
        }
        gave = true;
    }
    return gave;
}

size_t config_preset_text(const struct config_site *site, char *out, size_t capacity)
{
    const struct preset *preset =
        site->like == NULL ? NULL : preset_find(slice_of_text(site->like));
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; preset != NULL && i < PRESET_LINES_MAX && preset->lines[i] != NULL; i++) {
        /* What it says of algorithms is long, and stands in the offer. */
        size_t length =
            strncmp(preset->lines[i], "ike ", 4) == 0 || strncmp(preset->lines[i], "esp ", 4) == 0
                ? 3
                : strlen(preset->lines[i]);

        if ((site->like_lines & 1U << i) != 0 && used + length + 3 < capacity) {
            used += (size_t)snprintf(out + used, capacity - used, "%s%.*s", used > 0 ? ", " : "",
                                     (int)length, preset->lines[i]);
        }
    }
    return used;
}

const char *config_preset_product(const char *name)
{
    const struct preset *preset = name == NULL ? NULL : preset_find(slice_of_text(name));

    return preset == NULL ? NULL : preset->product;
}

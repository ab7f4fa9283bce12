/*
 * Decides what `ike`, `esp`, `ah` and `legacy` mean: which algorithms a site offers and accepts,
 * and that nothing weak is among them without its word. The rules are those of the catalog (RFC
 * 8221, RFC 8247); here they get a place in the text.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/schema.h"

#define ALGORITHM_WORD_BYTES 32
#define WRITTEN_BYTES_MAX 4096
#define ALGORITHM_WORDS_MAX 96

/* ---- taking the words ---- */

static void keep_words(struct reading *r, const struct statement *s, size_t first,
                       struct said_words *into)
{
    for (size_t i = first; i < s->count; i++) {
        if (into->count == into->capacity) {
            void *larger =
                arena_grow(r->notes, into->list, into->count, &into->capacity, sizeof(*into->list));
            if (larger == NULL) {
                return;
            }
            into->list = larger;
        }
        into->list[into->count++] = s->words[i];
    }
}

void take_ike(struct reading *r, const struct statement *s)
{
    keep_words(r, s, take_ike_version(r, s), &r->ike);
}

void take_esp(struct reading *r, const struct statement *s)
{
    keep_words(r, s, 1, &r->esp);
}

void take_ah(struct reading *r, const struct statement *s)
{
    keep_words(r, s, 1, &r->ah);
}

void take_legacy(struct reading *r, const struct statement *s)
{
    keep_words(r, s, 1, &r->legacy);
}

/* ---- legacy ---- */

/* An integrity algorithm and the PRF made of it are one thing to the administrator: md5 and prfmd5.
 */
static const char *legacy_name(const struct algorithm *a)
{
    return a->type == TRANSFORM_PRF && strncmp(a->word, "prf", 3) == 0 ? a->word + 3 : a->word;
}

static bool is_allowed(const struct allowed *allowed, const struct algorithm *a)
{
    for (size_t i = 0; i < allowed->count; i++) {
        if (strcmp(legacy_name(allowed->list[i]), legacy_name(a)) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_later_legacy(struct slice word)
{
    static const char *const words[] = {"pptp", "mppe-40", "mppe-56", "mppe-128", "xauth"};

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (slice_equal_text(word, words[i])) {
            return true;
        }
    }
    return false;
}

void complain_unknown_algorithm(struct reading *r, uint8_t type, struct slice word,
                                struct config_place place, bool legacy_only)
{
    /* Words with a key size stand in the catalog once; here each size is a word of its own. */
    char sized[ALGORITHM_WORDS_MAX][ALGORITHM_WORD_BYTES];
    const char *words[ALGORITHM_WORDS_MAX] = {NULL};
    char shown[VALUE_SHOWN_BYTES + 4];
    char advice[160];
    size_t count = 0;
    const struct algorithm *a;

    /* What is counted and not told needs no advice. */
    bool told = r->diagnoses.count < DIAGNOSTICS_MAX;

    for (size_t i = 0; told && (a = algorithm_at(i)) != NULL; i++) {
        if ((legacy_only && a->strength != STRENGTH_LEGACY) || (type != 0 && a->type != type)) {
            continue;
        }
        for (size_t k = 0; k == 0 || (a->key_bits_on_wire && k < ALGORITHM_KEY_SIZES_MAX); k++) {
            struct transform t = {a->type, a->id, a->key_bits_on_wire ? a->key_bits[k] : 0};
            if (count < ARRAY_LENGTH(words)) {
                transform_word(&t, sized[count], ALGORITHM_WORD_BYTES);
                words[count] = sized[count];
                count++;
            }
        }
    }
    size_t nearest = value_nearest(word, words, count);

    if (nearest < count) {
        snprintf(advice, sizeof(advice), "did you mean '%s' ?", words[nearest]);
    } else {
        snprintf(advice, sizeof(advice), "%s",
                 legacy_only                    ? "such as: legacy 3des sha1 modp1024"
                 : type == TRANSFORM_ENCRYPTION ? "such as aes256"
                 : type == TRANSFORM_INTEGRITY  ? "such as sha256"
                                                : "such as aes256gcm16, sha256, x25519");
    }
    COMPLAIN(r, place, advice, "'%s' is no algorithm", value_shown(word, shown));
}

static void take_legacy_word(struct reading *r, struct allowed *allowed, const struct word *word)
{
    char shown[VALUE_SHOWN_BYTES + 4];
    struct transform t;

    value_shown(word->text, shown);
    if (slice_equal_text(word->text, "static-keys")) {
        if (r->scope != SCOPE_MANUAL) {
            COMPLAIN(r, word->place, "sites negotiate their keys; manual NAME { ... } does not",
                     "'static-keys' belongs in a manual block");
        }
        allowed->static_keys = true;
        return;
    }
    if (slice_equal_text(word->text, "aggressive")) {
        if (!r->site.aggressive || r->scope == SCOPE_MANUAL) {
            COMPLAIN(r, word->place, "such as: ike v1 aggressive",
                     "'legacy aggressive' is for sites with aggressive mode");
        }
        allowed->aggressive = true;
        r->legacy_aggressive = true;
        return;
    }
    if (take_legacy_method(r, allowed, word)) {
        return;
    }
    if (is_later_legacy(word->text)) {
        COMPLAIN(r, word->place, NULL, "'%s' is not in this version of Sekisho", shown);
        return;
    }
    if (!transform_by_word(0, word->text, &t)) {
        complain_unknown_algorithm(r, 0, word->text, word->place, true);
        return;
    }
    const struct algorithm *a = algorithm_find(t.type, t.id);

    if (a->strength != STRENGTH_LEGACY) {
        WARN(r, word->place, "leave it out", "%s is not weak and does not need the word 'legacy'",
             shown);
        return;
    }
    if (is_allowed(allowed, a)) {
        COMPLAIN(r, word->place, NULL, "%s is said twice", shown);
        return;
    }
    if (allowed->count == LEGACY_WORDS_MAX) {
        COMPLAIN(r, word->place, NULL, "more than %d weak algorithms are too many",
                 LEGACY_WORDS_MAX);
        return;
    }
    allowed->transforms[allowed->count] = t;
    allowed->list[allowed->count++] = a;
}

const char *legacy_words(struct reading *r, struct allowed *allowed)
{
    char text[(LEGACY_WORDS_MAX + 4) * ALGORITHM_WORD_BYTES];
    struct text list = text_over(text, sizeof(text));

    for (size_t i = 0; i < r->legacy.count; i++) {
        take_legacy_word(r, allowed, &r->legacy.list[i]);
    }
    if (allowed->static_keys) {
        text_add(&list, "static-keys");
    }
    if (allowed->aggressive) {
        text_add(&list, "aggressive");
    }
    write_legacy_methods(allowed->methods, &list);
    for (size_t i = 0; i < allowed->count; i++) {
        char canonical[ALGORITHM_WORD_BYTES];
        transform_word(&allowed->transforms[i], canonical, sizeof(canonical));
        text_addf(&list, "%s%s", list.length > 0 ? " " : "", canonical);
    }
    return list.length == 0 ? NULL : arena_text(r->arena, slice_of_text(text));
}

bool legacy_is_allowed(const struct reading *r, const struct algorithm *a)
{
    if (a == NULL || a->strength != STRENGTH_LEGACY) {
        return true;
    }
    for (size_t i = 0; i < r->legacy.count; i++) {
        struct transform t;

        if (transform_by_word(0, r->legacy.list[i].text, &t) &&
            strcmp(legacy_name(algorithm_find(t.type, t.id)), legacy_name(a)) == 0) {
            return true;
        }
    }
    return false;
}

void legacy_check(struct reading *r, const struct allowed *allowed, const struct algorithm *a,
                  struct slice word, struct config_place place)
{
    char shown[VALUE_SHOWN_BYTES + 4];
    char advice[256];

    if (a->strength != STRENGTH_LEGACY || is_allowed(allowed, a)) {
        return;
    }
    value_shown(word, shown);
    snprintf(advice, sizeof(advice), "%s. If the peer has nothing better, write: legacy %s",
             a->why_weak, shown);
    COMPLAIN(r, place, advice, "%s needs the word 'legacy'", shown);
}

/* ---- one proposal ---- */

/* The place of a part of a word: '-' joins algorithms, and each can be pointed at. */
static struct config_place part_place(const struct word *word, size_t at, size_t length)
{
    struct config_place place = word->place;

    if (!word->expanded) {
        place.column += (uint32_t)at + (word->quoted ? 1 : 0);
        place.length = (uint32_t)length;
    }
    return place;
}

/* The part that begins at `at`; what stands behind it begins at the sum of both and one. */
static struct slice part_at(struct slice text, size_t at)
{
    const uint8_t *begin = text.data + at;
    const uint8_t *dash = at < text.length ? memchr(begin, '-', text.length - at) : NULL;

    return (struct slice){begin, dash == NULL ? text.length - at : (size_t)(dash - begin)};
}

struct parts {
    bool cipher, aead, plain, integrity, exchange, unknown;
    size_t integrity_at;
    struct slice integrity_word;
};

/* What a word means in AH is first of all an integrity algorithm. */
static bool part_transform(uint8_t protocol, struct slice part, struct transform *t)
{
    return (protocol == PROTOCOL_AH && transform_by_word(TRANSFORM_INTEGRITY, part, t)) ||
           transform_by_word(0, part, t);
}

/* Each part by itself: is it known, is it weak? Returns what kinds there are. */
static struct parts look_at_parts(struct reading *r, uint8_t protocol, const struct word *word,
                                  const struct allowed *allowed)
{
    struct parts parts = {0};
    struct slice part;

    for (size_t at = 0; at <= word->text.length; at += part.length + 1) {
        struct transform t;
        part = part_at(word->text, at);
        if (part.length == 0 || !part_transform(protocol, part, &t)) {
            parts.unknown = true;
            if (part.length > 0) {
                complain_unknown_algorithm(r, 0, part, part_place(word, at, part.length), false);
            } else {
                COMPLAIN(r, word->place, NULL, "an algorithm is missing before or behind a '-'");
            }
            continue;
        }
        const struct algorithm *a = algorithm_find(t.type, t.id);
        if (a == NULL) {
            continue; /* ke1_none */
        }
        legacy_check(r, allowed, a, part, part_place(word, at, part.length));
        parts.cipher |= a->type == TRANSFORM_ENCRYPTION;
        parts.aead |= a->type == TRANSFORM_ENCRYPTION && a->aead;
        parts.plain |= a->type == TRANSFORM_ENCRYPTION && !a->aead;
        parts.exchange |= t.type == TRANSFORM_KEY_EXCHANGE;
        if (a->type == TRANSFORM_INTEGRITY && !parts.integrity) {
            parts.integrity = true;
            parts.integrity_at = at;
            parts.integrity_word = part;
        }
    }
    return parts;
}

static const char *protocol_name(uint8_t protocol)
{
    return protocol == PROTOCOL_IKE ? "IKE" : protocol == PROTOCOL_AH ? "AH" : "ESP";
}

static bool take_proposal(struct reading *r, uint8_t protocol, const struct word *word,
                          const struct allowed *allowed, struct proposal *out)
{
    size_t errors = r->diagnoses.errors;
    struct parts parts = look_at_parts(r, protocol, word, allowed);
    char shown[VALUE_SHOWN_BYTES + 4];
    struct config_place place = word->place;
    char advice[160] = "";
    char why[256] = "";

    if (parts.unknown) {
        return false;
    }
    value_shown(word->text, shown);
    if (proposal_parse(protocol, word->text, out, why, sizeof(why))) {
        /* What the catalog added by itself is weak only together with a part that was told. */
        return r->diagnoses.errors == errors;
    }
    if (protocol == PROTOCOL_AH) {
        snprintf(advice, sizeof(advice), "%s",
                 parts.cipher ? "AH has no cipher: leave it out, or write: esp"
                              : "such as: sha256");
    } else if (parts.aead && parts.plain) {
        snprintf(advice, sizeof(advice),
                 "divide it: one proposal for GCM, CCM and ChaCha20, one for the others");
    } else if (parts.aead && parts.integrity && protocol == PROTOCOL_ESP) {
        place = part_place(word, parts.integrity_at, parts.integrity_word.length);
        snprintf(advice, sizeof(advice), "leave it out: the cipher checks integrity too");
    } else if (!parts.cipher) {
        snprintf(advice, sizeof(advice), "did you mean aes256-%.60s ?", shown);
    } else if (!parts.aead && !parts.integrity) {
        snprintf(advice, sizeof(advice), "did you mean %.60s-sha256%s ?", shown,
                 protocol == PROTOCOL_IKE && !parts.exchange ? "-x25519" : "");
    } else if (protocol == PROTOCOL_IKE && !parts.exchange) {
        snprintf(advice, sizeof(advice), "did you mean %.60s-x25519 ?", shown);
    }
    COMPLAIN(r, place, advice, "this %s proposal cannot be used: %s", protocol_name(protocol), why);
    return false;
}

/* ---- lists of proposals ---- */

static bool has_transform(const struct proposal *p, const struct transform *t)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->transforms[i].type == t->type && p->transforms[i].id == t->id &&
            p->transforms[i].key_bits == t->key_bits) {
            return true;
        }
    }
    return false;
}

static void add_transform(struct proposal *p, const struct transform *t)
{
    if (!has_transform(p, t) && p->count < PROPOSAL_TRANSFORMS_MAX) {
        p->transforms[p->count++] = *t;
    }
}

/* The defaults; behind them, when weak algorithms are allowed, one proposal with those beside the
 * strong. */
static void add_legacy_proposal(uint8_t protocol, const struct allowed *allowed,
                                struct proposals *out)
{
    struct proposal last = out->list[out->count - 1];
    uint8_t before = last.count;

    for (size_t i = 0; i < allowed->count; i++) {
        struct transform t = allowed->transforms[i];
        struct transform prf;
        char word[ALGORITHM_WORD_BYTES];
        bool hides = t.type != TRANSFORM_ENCRYPTION ||
                     (t.id != ENCRYPTION_NULL && t.id != ENCRYPTION_NULL_AES_GMAC);
        if (!hides || t.type == TRANSFORM_ESN ||
            (t.type == TRANSFORM_ENCRYPTION && protocol == PROTOCOL_AH) ||
            (t.type == TRANSFORM_PRF && protocol != PROTOCOL_IKE)) {
            continue; /* clear text is never offered without being asked for */
        }
        add_transform(&last, &t);
        transform_word(&t, word, sizeof(word));
        if (t.type == TRANSFORM_INTEGRITY && protocol == PROTOCOL_IKE &&
            transform_by_word(TRANSFORM_PRF, slice_of_text(word), &prf)) {
            add_transform(&last, &prf);
        }
    }
    if (last.count > before && out->count < PROPOSALS_MAX) {
        out->list[out->count++] = last;
    }
}

static bool has_exchange(const struct proposal *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->transforms[i].type == TRANSFORM_KEY_EXCHANGE) {
            return true;
        }
    }
    return false;
}

static void remove_exchanges(struct proposal *p)
{
    uint8_t kept = 0;

    for (size_t i = 0; i < p->count; i++) {
        if (p->transforms[i].type != TRANSFORM_KEY_EXCHANGE &&
            !transform_is_additional(p->transforms[i].type)) {
            p->transforms[kept++] = p->transforms[i];
        }
    }
    p->count = kept;
}

/* With pfs, a list of ciphers alone gets the key exchanges of the negotiation. */
static void settle_pfs(const struct reading *r, const struct proposals *ike, struct proposals *esp)
{
    for (size_t i = 0; i < esp->count; i++) {
        struct proposal *p = &esp->list[i];
        if (r->site.pfs == PFS_OFF) {
            remove_exchanges(p);
        } else if (!has_exchange(p)) {
            for (size_t j = 0; j < ike->count; j++) {
                for (size_t k = 0; k < ike->list[j].count; k++) {
                    if (ike->list[j].transforms[k].type == TRANSFORM_KEY_EXCHANGE) {
                        add_transform(p, &ike->list[j].transforms[k]);
                    }
                }
            }
        }
    }
}

/* What the word post-quantum leaves. A list that was written is not made shorter behind the back of
 * who wrote it, but where the word can be had in no other way. */
static void settle_post_quantum(struct reading *r, const struct said_words *words,
                                struct proposals *list)
{
    struct config_place place = said_at(r, "post-quantum");
    bool any = proposals_have_post_quantum(list);

    if (r->site.version == CONFIG_IKE_V1 && words->count == 0) {
        proposals_drop_post_quantum(list);
        return;
    }
    switch (r->site.post_quantum) {
    case CONFIG_POST_QUANTUM_PREFER:
        return;
    case CONFIG_POST_QUANTUM_OFF:
        if (words->count > 0 && any) {
            COMPLAIN(r, place, "leave out one of the two",
                     "'post-quantum off' and ML-KEM in 'ike' contradict each other");
            return;
        }
        proposals_drop_post_quantum(list);
        return;
    case CONFIG_POST_QUANTUM_REQUIRED:
        if (!any && r->diagnoses.errors == 0) {
            COMPLAIN(r, place, "add -ke1_mlkem768 to a proposal, or leave out the line ike",
                     "'post-quantum required' needs a key exchange with ML-KEM in 'ike'");
            return;
        }
        proposals_keep_post_quantum(list);
        return;
    }
}

const char *proposals_text(const struct proposals *p)
{
    return CONTAINER_OF((char *)(uintptr_t)p, struct shared_proposals, proposals)->text;
}

static struct shared_proposals *share(struct reading *r, const struct proposals *list)
{
    struct shared_proposals *shared = arena_take(r->arena, sizeof(*shared));
    char text[PROPOSALS_MAX * PROPOSAL_TRANSFORMS_MAX * 20];
    size_t used = 0;

    if (shared == NULL) {
        return NULL;
    }
    /* Field by field into zeros: equal lists are then equal byte by byte, padding and all. */
    shared->proposals.count = list->count;
    for (size_t i = 0; i < list->count; i++) {
        struct proposal *kept = &shared->proposals.list[i];
        kept->protocol = list->list[i].protocol;
        kept->count = list->list[i].count;
        for (size_t j = 0; j < list->list[i].count; j++) {
            const struct transform *t = &list->list[i].transforms[j];
            char word[ALGORITHM_WORD_BYTES];
            kept->transforms[j].type = t->type;
            kept->transforms[j].id = t->id;
            kept->transforms[j].key_bits = t->key_bits;
            transform_word(t, word, sizeof(word));
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
                                     j > 0   ? "-"
                                     : i > 0 ? " "
                                             : "",
                                     word);
            assert(used < sizeof(text));
            const struct algorithm *a = algorithm_find(t->type, t->id);
            if (t->type == TRANSFORM_ENCRYPTION && a->block_bytes == 8) {
                shared->small_blocks = true;
            }
        }
    }
    shared->text = arena_text(r->arena, (struct slice){(const uint8_t *)text, used});
    return shared;
}

/* All that decides what a list becomes, as one key. */
static bool written_key(const struct reading *r, uint8_t protocol, uint8_t key[16])
{
    static const uint8_t keys[2][16] = {"proposals, left", "proposals, rest"};
    const struct said_words *all[] = {&r->ike, &r->legacy,
                                      protocol == PROTOCOL_AH ? &r->ah : &r->esp};
    uint8_t bytes[WRITTEN_BYTES_MAX];
    struct writer w = writer_over(bytes, sizeof(bytes));

    write_u8(&w, protocol);
    write_u8(&w, (uint8_t)r->site.pfs);
    write_u8(&w, (uint8_t)r->site.post_quantum);
    write_u8(&w, r->site.version);
    for (size_t i = 0; i < (protocol == PROTOCOL_IKE ? 2 : ARRAY_LENGTH(all)); i++) {
        write_u8(&w, 0);
        for (size_t j = 0; j < all[i]->count; j++) {
            write_u8(&w, ' ');
            write_slice(&w, all[i]->list[j].text);
        }
    }
    put_u64(key, siphash24(keys[0], writer_written(&w)));
    put_u64(key + 8, siphash24(keys[1], writer_written(&w)));
    return writer_ok(&w);
}

static const struct shared_proposals *make_list(struct reading *r, uint8_t protocol,
                                                const struct said_words *words,
                                                const struct allowed *allowed,
                                                const struct proposals *ike)
{
    struct proposals list = {0};

    if (words->count == 0) {
        proposals_default(protocol, &list);
        add_legacy_proposal(protocol, allowed, &list);
    }
    for (size_t i = 0; i < words->count; i++) {
        if (list.count == PROPOSALS_MAX) {
            COMPLAIN(r, words->list[i].place, NULL, "more than %d proposals are too many",
                     PROPOSALS_MAX);
            break;
        }
        if (take_proposal(r, protocol, &words->list[i], allowed, &list.list[list.count])) {
            list.count++;
        }
    }
    if (protocol == PROTOCOL_IKE) {
        settle_post_quantum(r, words, &list);
    } else {
        if (r->site.pfs == PFS_OFF && words->count > 0) {
            for (size_t i = 0; i < list.count; i++) {
                if (has_exchange(&list.list[i])) {
                    WARN(r, words->list[0].place, "leave them out, or 'pfs off'",
                         "with 'pfs off' the key exchanges of %s are not used",
                         protocol == PROTOCOL_AH ? "ah" : "esp");
                    break;
                }
            }
        }
        settle_pfs(r, ike, &list);
    }
    return share(r, &list);
}

static const struct proposals *take_list(struct reading *r, uint8_t protocol,
                                         const struct said_words *words,
                                         const struct allowed *allowed, const struct proposals *ike)
{
    size_t told = r->diagnoses.errors + r->diagnoses.warnings;
    uint8_t key[16];
    bool fits = written_key(r, protocol, key);
    const struct shared_proposals *shared = fits ? table_find(&r->proposals, SLICE_OF(key)) : NULL;

    if (shared == NULL) {
        shared = make_list(r, protocol, words, allowed, ike);
        /* A list with a mistake is made again for whoever makes it again: each is told. */
        if (shared != NULL && fits && told == r->diagnoses.errors + r->diagnoses.warnings) {
            (void)!table_add(&r->proposals, SLICE_OF(key), (void *)(uintptr_t)shared);
        }
    }
    return shared == NULL ? NULL : &shared->proposals;
}

void site_take_proposals(struct reading *r)
{
    struct config_site *site = &r->site;
    struct allowed allowed = {0};

    bool ah = said_at(r, "ah").line != 0;

    site->legacy = legacy_words(r, &allowed);
    site->uses_legacy = site->legacy != NULL;
    site->protection = !ah                           ? CONFIG_ESP
                       : said_at(r, "esp").line != 0 ? CONFIG_AH_AND_ESP
                                                     : CONFIG_AH;
    site->ike_is_default = r->ike.count == 0;
    site->esp_is_default = r->esp.count == 0;
    site->ike = take_list(r, PROTOCOL_IKE, &r->ike, &allowed, NULL);
    if (site->ike == NULL) {
        return;
    }
    site->esp = take_list(r, PROTOCOL_ESP, &r->esp, &allowed, site->ike);
    if (ah) {
        site->ah_is_default = r->ah.count == 0;
        site->ah = take_list(r, PROTOCOL_AH, &r->ah, &allowed, site->ike);
    }
    if (site->esp != NULL && r->lifetime_said[2].line == 0 &&
        CONTAINER_OF((char *)(uintptr_t)site->esp, struct shared_proposals, proposals)
            ->small_blocks) {
        site->lifetime_bytes = DEFAULT_SMALL_BLOCK_BYTES;
    }
}

/* ---- writing ---- */

static void write_list(const struct schema_word *w, const struct shown *shown,
                       const struct proposals *list, bool is_default)
{
    if (shown->mode == SHOW_SAID && is_default) {
        return;
    }
    sheet_addf(shown->out, "%s %s\n", w->word, proposals_text(list));
}

void write_ike(const struct schema_word *w, const struct shown *shown)
{
    write_ike_version(w, shown);
    write_list(w, shown, shown->site->ike, shown->site->ike_is_default);
}

void write_esp(const struct schema_word *w, const struct shown *shown)
{
    /* Beside `ah` the word says that both are wanted. */
    if (shown->site->protection != CONFIG_AH) {
        write_list(w, shown, shown->site->esp, shown->site->esp_is_default);
    }
}

void write_ah(const struct schema_word *w, const struct shown *shown)
{
    const struct config_site *site = shown->site;

    if (site->protection != CONFIG_ESP && site->ah_is_default && shown->mode == SHOW_SAID) {
        shown_line(shown, w->word, "%s", "");
    } else if (site->protection != CONFIG_ESP) {
        write_list(w, shown, site->ah, false);
    }
}

void write_legacy(const struct schema_word *w, const struct shown *shown)
{
    const char *legacy = shown->manual != NULL ? shown->manual->legacy : shown->site->legacy;

    if (legacy != NULL) {
        sheet_addf(shown->out, "%s %s\n", w->word, legacy);
    }
}

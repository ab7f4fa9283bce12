/*
 * Decides what the first words of `ike` mean: which version of IKE is spoken with a peer, and in
 * IKEv1 by which exchange. Nothing but IKEv2 is spoken unless it is said here.
 */
#include "config/schema.h"

static const char *const version_names[] = {"v2", "v1", "either"};
static const char *const exchange_names[] = {"main", "aggressive"};

static bool find_name(const char *const *names, size_t count, struct slice word, size_t *out)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_text(word, names[i])) {
            *out = i;
            return true;
        }
    }
    return false;
}

static void take_version(struct reading *r, const struct word *word, uint8_t version)
{
    if (r->version_said.line != 0 && r->site.version != version) {
        COMPLAIN(r, word->place, "say it once: ike v1, ike v2 or ike either",
                 "this site has a version of IKE already");
    }
    r->site.version = version;
    r->version_said = word->place;
}

static void take_exchange(struct reading *r, const struct word *word, bool aggressive)
{
    if (r->site.version == CONFIG_IKE_V2) {
        COMPLAIN(r, word->place, aggressive ? "such as: ike v1 aggressive" : "such as: ike v1 main",
                 "IKEv2 has one exchange only; main and aggressive are of IKEv1");
    }
    if (r->exchange_said.line != 0 && r->site.aggressive != aggressive) {
        COMPLAIN(r, word->place, "say it once: main or aggressive",
                 "this site has an exchange of IKEv1 already");
    }
    r->site.aggressive = aggressive;
    r->exchange_said = word->place;
}

size_t take_ike_version(struct reading *r, const struct statement *s)
{
    size_t at = 1;
    size_t which;

    if (at < s->count &&
        find_name(version_names, ARRAY_LENGTH(version_names), s->words[at].text, &which)) {
        take_version(r, &s->words[at], (uint8_t)which);
        at++;
    }
    if (at < s->count &&
        find_name(exchange_names, ARRAY_LENGTH(exchange_names), s->words[at].text, &which)) {
        take_exchange(r, &s->words[at], which == 1);
        at++;
    }
    return at;
}

/* A cipher in CBC, a hash and a key exchange that IKEv1 has numbers for (RFC 2409 appendix A). */
static bool fits_v1(const struct proposal *p)
{
    bool cipher = false;
    bool hash = false;
    bool exchange = false;

    for (size_t i = 0; i < p->count; i++) {
        const struct transform *t = &p->transforms[i];

        cipher |= t->type == TRANSFORM_ENCRYPTION &&
                  (t->id == ENCRYPTION_DES || t->id == ENCRYPTION_3DES ||
                   t->id == ENCRYPTION_AES_CBC || t->id == ENCRYPTION_CAMELLIA_CBC);
        hash |= t->type == TRANSFORM_PRF && t->id != PRF_AES128_XCBC && t->id != PRF_AES128_CMAC;
        exchange |= t->type == TRANSFORM_KEY_EXCHANGE && !key_exchange_is_post_quantum(t->id);
    }
    return cipher && hash && exchange;
}

static void check_proposals(struct reading *r)
{
    const struct config_site *site = &r->site;

    for (size_t i = 0; i < site->ike->count; i++) {
        if (fits_v1(&site->ike->list[i])) {
            return;
        }
    }
    if (r->diagnoses.errors == 0) {
        COMPLAIN(r, r->version_said, "such as: ike v1 aes256-sha256-modp2048",
                 "IKEv1 can use none of these proposals: it has AES-CBC, Camellia and 3DES, and no "
                 "additional key exchange");
    }
}

/* What IKEv2 has and IKEv1 has not: with `either` it is for IKEv2 alone. */
static void check_words(struct reading *r)
{
    const struct config_site *site = &r->site;
    const struct {
        bool said;
        const char *word, *why;
    } none[] = {
        {site->childless, "childless", "IKEv1 agrees on data in an exchange of its own anyway"},
        {site->each != CONFIG_EACH_OFF, "each", "with IKEv1 an SA is for a pair of networks"},
        {site->carriage.iptfs.enabled, "iptfs", "IKEv1 has no way to agree on it"},
        {site->per_worker_sas > 0, "per-worker-sas", "with IKEv1 one SA serves all workers"},
        {site->post_quantum == CONFIG_POST_QUANTUM_REQUIRED, "post-quantum",
         "IKEv1 has no key exchange with ML-KEM"},
        {site->ppk != NULL && site->ppk->required, "ppk required", "IKEv1 has no PPK"},
        {site->unauthenticated, "unauthenticated", "with IKEv1 both sides prove who they are"},
        {site->transport != TRANSPORT_UDP, "transport", "IKEv1 is not spoken over TCP"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(none); i++) {
        if (none[i].said) {
            COMPLAIN(r, r->version_said, none[i].why, "'%s' does not go with IKEv1", none[i].word);
        }
    }
}

void site_check_version(struct reading *r)
{
    const struct config_site *site = &r->site;

    if (site->version == CONFIG_IKE_V2 || site->ike == NULL) {
        return;
    }
    check_proposals(r);
    check_words(r);
    if (site->aggressive && site->key.name != NULL && !r->legacy_aggressive) {
        COMPLAIN(r, r->exchange_said,
                 "whoever asks gets a value by which a shared key can be guessed without asking "
                 "again. If the peer has nothing better, write: legacy aggressive",
                 "aggressive mode with a shared key needs the word 'legacy'");
    } else if (site->aggressive && site->key.name != NULL) {
        WARN(r, r->exchange_said, "make the key long and random: sekisho secret new NAME",
             "in aggressive mode anybody can take away a value by which the shared key is guessed");
    }
}

/* A line of its own before that of the proposals. */
void write_ike_version(const struct schema_word *w, const struct shown *shown)
{
    const struct config_site *site = shown->site;

    if (site->version != CONFIG_IKE_V2) {
        sheet_addf(shown->out, "%s %s%s\n", w->word, version_names[site->version],
                   site->aggressive ? " aggressive" : "");
    }
}

/*
 * Certificates, lists and responses of anybody: what is read as one, which names and places are in
 * it, and whether it leads to an authority. A byte of rules, then records: kind, length, octets.
 */
#include <string.h>

#include "crypto/trust.h"
#include "fuzz.h"

#define NOW_S 1800000000 /* 2027-01-15 */
#define RECORDS_MAX 12

enum record { ANCHOR, PRESENTED, LIST, RESPONSE, FILE_OF_TRUST, RECORD_KINDS };

struct scene {
    struct trust *trust;
    struct trust_rules rules;
    struct certificate *presented[CERTIFICATES_MAX];
    size_t count;
};

static void check_words(const struct certificate *c)
{
    static char room[16384];
    struct text text = text_over(room, sizeof(room));
    struct revocation_source sources[REVOCATION_SOURCES_MAX];
    size_t count = revocation_sources(c, sources, ARRAY_LENGTH(sources));

    certificate_describe(c, &text);
    certificate_names_words(c, &text);
    for (size_t i = 0; i < text.length; i++) {
        MUST(room[i] == '\n' || (room[i] >= ' ' && room[i] <= '~'));
    }
    for (size_t i = 0; i < count; i++) {
        MUST(revocation_url_is_good(slice_of_text(sources[i].url)));
    }
    (void)!certificate_has_name(c, CERTIFICATE_NAME_DNS, SLICE_TEXT("left.example"));
    (void)!certificate_has_name(c, CERTIFICATE_NAME_EMAIL, SLICE_TEXT("left@example"));
    (void)!certificate_has_name(c, CERTIFICATE_NAME_DN_PATTERN, SLICE_TEXT("O=Test, CN=*"));
    MUST(certificate_has_name(c, CERTIFICATE_NAME_DN, certificate_subject(c)));
    MUST(certificate_equal(c, c));
}

static struct certificate *read_certificate(struct slice der)
{
    struct certificate *c = certificate_read(der);

    if (c != NULL) {
        MUST(slice_equal(certificate_der(c), der));
        check_words(c);
    }
    return c;
}

static void take(struct scene *s, uint8_t kind, struct slice body)
{
    struct certificate_bag bag = {0};
    struct certificate *c;

    switch ((enum record)(kind % RECORD_KINDS)) {
    case ANCHOR:
        c = read_certificate(body);
        if (c != NULL) {
            bag = (struct certificate_bag){.certificate_count = 1, .certificates = {c}};
            MUST(trust_add(s->trust, &bag));
            certificate_free(c);
        }
        break;
    case PRESENTED:
        c = s->count < CERTIFICATES_MAX ? read_certificate(body) : NULL;
        if (c != NULL) {
            s->presented[s->count++] = c;
        }
        break;
    case LIST:
        bag = (struct certificate_bag){.crl_count = 1, .crls = {body}};
        (void)!trust_add(s->trust, &bag);
        break;
    case RESPONSE:
        if (s->rules.response_count < TRUST_RESPONSES_MAX) {
            s->rules.responses[s->rules.response_count++] = body;
        }
        break;
    case FILE_OF_TRUST:
        if (certificate_bag_add(&bag, body) == CERTIFICATE_BAG_FINE) {
            (void)!trust_add(s->trust, &bag);
        }
        certificate_bag_fini(&bag);
        break;
    case RECORD_KINDS:
        break;
    }
}

static void check(struct scene *s)
{
    const struct certificate *borrowed[CERTIFICATES_MAX];
    struct certificate_verdict verdict;
    struct revocation_wishes wishes = {0};
    char words[1024];
    struct text text = text_over(words, sizeof(words));

    for (size_t i = 0; i < s->count; i++) {
        borrowed[i] = s->presented[i];
    }
    bool good = trust_verify_and_wish(s->trust, &s->rules, borrowed, s->count, &verdict, &wishes);

    MUST(good == (verdict.problem == CERTIFICATE_GOOD));
    if (good) {
        MUST(trust_count(s->trust) > 0 && s->count > 0);
        MUST(certificate_begins_s(s->presented[0]) <= NOW_S);
        MUST(certificate_ends_s(s->presented[0]) >= NOW_S);
        MUST(certificate_key(s->presented[0]) != NULL);
        MUST(public_key_is_strong(certificate_key(s->presented[0]), s->rules.legacy));
    }
    certificate_verdict_words(&verdict, &text);
    revocation_wishes_fini(&wishes);
}

FUZZ(x509_chain, 3000)
{
    struct reader r = reader_over((struct slice){data, size});
    uint8_t flags = read_u8(&r);
    struct scene s = {
        .trust = trust_new(),
        .rules = {.now_s = NOW_S,
                  .legacy = (flags & 1) != 0,
                  .revocation = (flags & 2) != 0 ? REVOCATION_STRICT : REVOCATION_NORMAL}};

    MUST(s.trust != NULL);
    for (size_t i = 0; i < RECORDS_MAX && reader_left(&r) > 0; i++) {
        uint8_t kind = read_u8(&r);
        struct slice body = read_bytes(&r, read_u16(&r));

        if (reader_ok(&r)) {
            take(&s, kind, body);
        }
    }
    if (s.count > 0) {
        check(&s);
    }
    for (size_t i = 0; i < s.count; i++) {
        certificate_free(s.presented[i]);
    }
    trust_free(s.trust);
    return 0;
}
